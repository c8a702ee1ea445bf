import type { FromSchema } from "json-schema-to-ts";
import { STATUSES } from "#common/execution-names.ts";
import { END_REASON, EXECUTION_ID, EXECUTION_STATUS, INSTANT } from "./names.ts";

/** A cursor or execution id: a UUID of any version. */
const UUID = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$";

export const LIST_QUERY = {
  type: "object",
  additionalProperties: false,
  properties: {
    project: {
      type: "string",
      minLength: 1,
      pattern: "^[^\\u0000]*$",
      $comment: "text without NUL characters (U+0000)",
      description:
        "Only executions of this project. Executions outlive their project, so a name that no project has gives an empty list.",
    },
    status: { type: "string", enum: STATUSES, description: "Only executions with this status." },
    limit: { type: "integer", minimum: 1, maximum: 200, default: 50 },
    cursor: {
      type: "string",
      pattern: UUID,
      $comment: "next_cursor of the page before",
      description: "next_cursor of the page before.",
    },
    retry_of: {
      type: "string",
      pattern: UUID,
      $comment: "execution_id of a dead letter",
      description: "Only executions that repeat this dead letter.",
    },
  },
} as const;
export type ListQuery = FromSchema<typeof LIST_QUERY>;

export const EXECUTION_SUMMARY = {
  $id: "ExecutionSummary",
  type: "object",
  required: [
    "execution_id",
    "project",
    "status",
    "end_reason",
    "execution_time_ms",
    "created_at",
    "ended_at",
  ],
  properties: {
    execution_id: EXECUTION_ID,
    project: { type: "string" },
    status: EXECUTION_STATUS,
    end_reason: { anyOf: [END_REASON, { type: "null" }] },
    execution_time_ms: { type: ["integer", "null"] },
    created_at: INSTANT,
    ended_at: { anyOf: [INSTANT, { type: "null" }] },
  },
} as const;

export const EXECUTION_LIST = {
  $id: "ExecutionList",
  type: "object",
  required: ["executions", "next_cursor"],
  properties: {
    executions: {
      type: "array",
      description: "Newest first.",
      items: EXECUTION_SUMMARY,
    },
    next_cursor: { type: ["string", "null"], description: "null on the last page." },
  },
} as const;
export type ExecutionList = FromSchema<typeof EXECUTION_LIST>;
