import type { FromSchema } from "json-schema-to-ts";
import { END_REASONS, STATUSES } from "../../services/common/execution-names.ts";

const nullable = <const T extends string>(type: T) => ({ type: [type, "null"] }) as const;

export const EXECUTE_BODY = {
  type: "object",
  required: ["project", "code"],
  additionalProperties: false,
  properties: {
    project: {
      type: "string",
      description: "Name of a project; GET /projects lists them.",
      examples: ["demo"],
    },
    code: {
      type: "string",
      description: "Python source. settings, memory, llm and set_result are there without an import.",
      examples: ["print(settings.keys())\nset_result({'answer': 42})"],
    },
    timeout: {
      type: "number",
      exclusiveMinimum: 0,
      description:
        "Seconds of running, pauses excluded; up to the project's limit. Absent: 60, or the limit if that is less.",
      examples: [60],
    },
    settings: {
      type: "object",
      maxProperties: 1_000,
      additionalProperties: { type: "string" },
      description: "Values for settings.get(); they override the project's defaults, never its secrets.",
      examples: [{ REGION: "eu-north" }],
    },
    memory: {
      type: "object",
      additionalProperties: { type: "object" },
      description: "{category: {key: value}} for memory.get(); numbers arrive digit for digit.",
      examples: [{ customers: { last_id: 9_007 } }],
    },
  },
} as const;
export type ExecuteBody = FromSchema<typeof EXECUTE_BODY>;

export const ACCEPTED = {
  type: "object",
  required: ["execution_id", "status", "poll_url"],
  properties: {
    execution_id: { type: "string", format: "uuid" },
    status: { enum: STATUSES, description: "pending, unless an Idempotency-Key was sent again." },
    poll_url: { type: "string", examples: ["/executions/0b9b3c8e-4a0e-4f3a-9d8e-1c2d3e4f5a6b"] },
  },
} as const;

export const EXECUTION_PARAMS = {
  type: "object",
  required: ["execution_id"],
  properties: {
    execution_id: { type: "string", format: "uuid", description: "From the answer to POST /execute." },
  },
} as const;
export type ExecutionParams = FromSchema<typeof EXECUTION_PARAMS>;

export const WAIT_QUERY = {
  type: "object",
  additionalProperties: false,
  properties: {
    wait: {
      type: "number",
      minimum: 0,
      maximum: 60,
      default: 0,
      description: "Hold the answer up to this many seconds while the status is pending or running.",
      examples: [20],
    },
  },
} as const;
export type WaitQuery = FromSchema<typeof WAIT_QUERY>;

export const EXECUTION = {
  $id: "Execution",
  type: "object",
  required: [
    "execution_id",
    "status",
    "result",
    "stdout",
    "stderr",
    "error",
    "llm_request",
    "memory_updates",
    "execution_time_ms",
    "end_reason",
    "truncated",
  ],
  properties: {
    execution_id: { type: "string", format: "uuid" },
    status: { enum: STATUSES, description: "completed, error and timeout are final." },
    result: { description: "What the script gave to set_result; any JSON value, digit for digit." },
    stdout: { type: "string" },
    stderr: { type: "string" },
    error: { ...nullable("string"), description: "What went wrong, for the reader of the script." },
    llm_request: {
      ...nullable("object"),
      description: "The question to answer with POST /executions/{execution_id}/respond while awaiting_llm.",
      required: ["id", "prompt", "model"],
      properties: { id: { type: "string" }, prompt: { type: "string" }, model: { type: "string" } },
    },
    memory_updates: {
      type: "object",
      additionalProperties: { type: "object" },
      description: "{category: {key: value}} that the script wrote; empty unless it completed.",
    },
    execution_time_ms: { ...nullable("integer"), description: "Time of running, pauses excluded." },
    end_reason: { enum: [...END_REASONS, null], description: "null until the execution has ended." },
    truncated: {
      type: "object",
      description: "Bytes that were cut from each output because they were over the project's limit.",
      required: ["stdout", "stderr"],
      properties: { stdout: { type: "integer" }, stderr: { type: "integer" } },
    },
  },
} as const;

export const REDACTIONS = {
  type: "object",
  required: ["execution_id", "redactions"],
  properties: {
    execution_id: { type: "string", format: "uuid" },
    redactions: {
      type: "array",
      description: "Secrets that were not redacted are left out; complete once the execution has ended.",
      items: {
        type: "object",
        required: ["secret", "field", "count"],
        properties: {
          secret: {
            type: "string",
            description:
              "Its name in the project file; of a credential that is none of its secrets, `unknown:` and the rule that knows its form.",
            examples: ["BILLING_KEY", "unknown:github"],
          },
          field: {
            enum: ["stdout", "stderr", "error", "llm_prompt", "llm_model", "result", "memory_updates"],
          },
          count: { type: "integer", minimum: 1 },
        },
      },
    },
  },
} as const;

export const RESPOND_BODY = {
  type: "object",
  required: ["response"],
  additionalProperties: false,
  properties: {
    response: {
      type: "string",
      description: "What llm.complete() returns to the script.",
      examples: ["Up 4 %."],
    },
    llm_request_id: {
      type: "string",
      description: "llm_request.id of the question; an answer to another question is refused with 409.",
    },
  },
} as const;
export type RespondBody = FromSchema<typeof RESPOND_BODY>;

export const EMPTY_OBJECT = { type: "object", additionalProperties: false, properties: {} } as const;
