import type { FromSchema } from "json-schema-to-ts";
import { END_REASONS, STATUSES } from "../../services/common/execution-names.ts";

export const LIST_QUERY = {
  type: "object",
  additionalProperties: false,
  properties: {
    project: { type: "string", description: "Only executions of this project." },
    status: { type: "string", enum: STATUSES, description: "Only executions with this status." },
    limit: { type: "integer", minimum: 1, maximum: 200, default: 50 },
    cursor: { type: "string", minLength: 1, maxLength: 500, description: "next_cursor of the page before." },
  },
} as const;
export type ListQuery = FromSchema<typeof LIST_QUERY>;

const instant = { type: "string", format: "date-time" } as const;

export const EXECUTION_LIST = {
  $id: "ExecutionList",
  type: "object",
  required: ["executions", "next_cursor"],
  properties: {
    executions: {
      type: "array",
      description: "Newest first.",
      items: {
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
          execution_id: { type: "string", format: "uuid" },
          project: { type: "string" },
          status: { enum: STATUSES },
          end_reason: { enum: [...END_REASONS, null] },
          execution_time_ms: { type: ["integer", "null"] },
          created_at: instant,
          ended_at: { ...instant, type: ["string", "null"] },
        },
      },
    },
    next_cursor: { type: ["string", "null"], description: "null on the last page." },
  },
} as const;
export type ExecutionList = FromSchema<typeof EXECUTION_LIST>;
