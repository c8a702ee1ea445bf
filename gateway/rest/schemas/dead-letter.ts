import type { FromSchema } from "json-schema-to-ts";
import { DEAD_LETTER_REASONS } from "#common/execution-names.ts";
import { ACCEPTED } from "./execution.ts";
import { LIST_QUERY } from "./execution-list.ts";
import { EXECUTION_ID, INSTANT } from "./names.ts";
import { type Given, optional } from "./optional.ts";

const { project, limit, cursor } = LIST_QUERY.properties;

export const DEAD_LETTER_QUERY = {
  type: "object",
  additionalProperties: false,
  properties: { project, limit, cursor },
} as const;
export type DeadLetterQuery = FromSchema<typeof DEAD_LETTER_QUERY>;

export const DEAD_LETTER = {
  $id: "DeadLetter",
  type: "object",
  required: [
    "execution_id",
    "project",
    "end_reason",
    "error",
    "created_at",
    "ended_at",
    "retried_as",
    "retries",
  ],
  properties: {
    execution_id: EXECUTION_ID,
    project: { type: "string" },
    end_reason: { type: "string", enum: DEAD_LETTER_REASONS },
    error: { type: "string", description: "What went wrong, in the words that its agent read." },
    created_at: INSTANT,
    ended_at: INSTANT,
    retried_as: {
      type: "array",
      description:
        "The newest 20 executions that repeat it, oldest first; GET /executions?retry_of= has all, page by page.",
      maxItems: 20,
      items: EXECUTION_ID,
    },
    retries: { type: "integer", minimum: 0, description: "How often it was repeated." },
  },
} as const;

export const DEAD_LETTER_LIST = {
  $id: "DeadLetterList",
  type: "object",
  required: ["dead_letters", "next_cursor"],
  properties: {
    dead_letters: {
      type: "array",
      description: "Newest first.",
      items: DEAD_LETTER,
    },
    next_cursor: { type: ["string", "null"], description: "null on the last page." },
  },
} as const;
export type DeadLetterList = FromSchema<typeof DEAD_LETTER_LIST>;

export const RETRY_BODY = {
  type: "object",
  additionalProperties: false,
  properties: {
    again: { ...optional("boolean"), default: false, description: "Also when it was retried before." },
  },
} as const;
export type RetryBody = Given<FromSchema<typeof RETRY_BODY>>;

export const RETRY_PARAMS = {
  type: "object",
  required: ["execution_id"],
  properties: { execution_id: { ...EXECUTION_ID, description: "From GET /dead-letters." } },
} as const;

export const RETRIED = {
  ...ACCEPTED,
  $id: "Retried",
  required: [...ACCEPTED.required, "retry_of"],
  properties: { ...ACCEPTED.properties, retry_of: EXECUTION_ID },
} as const;
