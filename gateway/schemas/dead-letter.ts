import type { FromSchema } from "json-schema-to-ts";
import { DEAD_LETTER_REASONS } from "../../services/common/execution-names.ts";
import { ACCEPTED } from "./execution.ts";
import { LIST_QUERY } from "./execution-list.ts";

const { status: _, ...withoutStatus } = LIST_QUERY.properties;

export const DEAD_LETTER_QUERY = {
  type: "object",
  additionalProperties: false,
  properties: withoutStatus,
} as const;
export type DeadLetterQuery = FromSchema<typeof DEAD_LETTER_QUERY>;

const uuid = { type: "string", format: "uuid" } as const;
const instant = { type: "string", format: "date-time" } as const;

export const DEAD_LETTER_LIST = {
  $id: "DeadLetterList",
  type: "object",
  required: ["dead_letters", "next_cursor"],
  properties: {
    dead_letters: {
      type: "array",
      description: "Newest first.",
      items: {
        type: "object",
        required: ["execution_id", "project", "end_reason", "error", "created_at", "ended_at", "retried_as"],
        properties: {
          execution_id: uuid,
          project: { type: "string" },
          end_reason: { enum: DEAD_LETTER_REASONS },
          error: { type: "string", description: "What went wrong, in the words that its agent read." },
          created_at: instant,
          ended_at: instant,
          retried_as: {
            type: "array",
            description: "The executions that repeat it, oldest first.",
            items: uuid,
          },
        },
      },
    },
    next_cursor: { type: ["string", "null"], description: "null on the last page." },
  },
} as const;
export type DeadLetterList = FromSchema<typeof DEAD_LETTER_LIST>;

export const RETRY_BODY = {
  type: "object",
  additionalProperties: false,
  properties: {
    again: { type: "boolean", default: false, description: "Also when it was retried before." },
  },
} as const;
export type RetryBody = FromSchema<typeof RETRY_BODY>;

export const RETRIED = {
  ...ACCEPTED,
  required: [...ACCEPTED.required, "retry_of"],
  properties: { ...ACCEPTED.properties, retry_of: uuid },
} as const;
