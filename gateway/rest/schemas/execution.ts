import type { FromSchema } from "json-schema-to-ts";
import { MAX_SETTINGS } from "#common/submission/limits.ts";
import { END_REASON, EXECUTION_ID, EXECUTION_STATUS, INSTANT } from "./names.ts";
import { type Given, optional } from "./optional.ts";

const nullable = <const T extends string>(type: T) => ({ type: [type, "null"] }) as const;
/** A schema that also allows null; `description` says what null means. */
const orNull = (schema: object, description: string) => ({ anyOf: [schema, { type: "null" }], description });
/** The schema of memory: {category: {key: value}}, with any JSON values. */
const categories = {
  type: "object",
  additionalProperties: { type: "object", additionalProperties: true },
} as const;

export const EXECUTE_BODY = {
  $id: "ExecuteRequest",
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
      ...optional("number"),
      exclusiveMinimum: 0,
      description:
        "Seconds of running, pauses excluded; up to the project's limit. Absent: 60, or the limit if that is less.",
      examples: [60],
    },
    settings: {
      ...optional("object"),
      maxProperties: MAX_SETTINGS,
      additionalProperties: { type: "string" },
      description: "Values for settings.get(); they override the project's defaults, never its secrets.",
      examples: [{ REGION: "eu-north" }],
    },
    memory: {
      ...categories,
      ...optional("object"),
      description:
        "{category: {key: value}} for memory.get(); numbers arrive as Python's json reads them: integers with every digit, others as floats.",
      examples: [{ customers: { last_id: 9_007 } }],
    },
  },
} as const;
export type ExecuteBody = Given<FromSchema<typeof EXECUTE_BODY>>;

const POLL_URL = {
  type: "string",
  description: "The path of GET /executions/{execution_id}.",
  examples: ["/executions/0b9b3c8e-4a0e-4f3a-9d8e-1c2d3e4f5a6b"],
} as const;

export const ACCEPTED = {
  $id: "Accepted",
  type: "object",
  required: ["execution_id", "status", "poll_url"],
  properties: {
    execution_id: EXECUTION_ID,
    status: EXECUTION_STATUS,
    poll_url: POLL_URL,
  },
} as const;

export const EXECUTION_PARAMS = {
  type: "object",
  required: ["execution_id"],
  properties: {
    execution_id: { ...EXECUTION_ID, description: "From the answer to POST /execute." },
  },
} as const;
export type ExecutionParams = FromSchema<typeof EXECUTION_PARAMS>;

const WAIT = {
  type: "number",
  minimum: 0,
  maximum: 60,
  default: 0,
  description:
    "Hold the answer up to this many seconds while the status is pending or running. New output does not end the wait.",
  examples: [20],
} as const;

const RESULT = {
  type: "string",
  enum: ["json", "text"],
  default: "json",
  description:
    "text: `result` is a JSON string that holds the exact JSON text, for parsers that would lose digits (in JavaScript, 9223372036854775809 becomes 9223372036854776000 and 1.0 becomes 1).",
} as const;

export const WAIT_QUERY = {
  type: "object",
  additionalProperties: false,
  properties: { wait: WAIT, result: RESULT },
} as const;
export type WaitQuery = FromSchema<typeof WAIT_QUERY>;

const OUTPUT_FROM = {
  type: "integer",
  minimum: 0,
  maximum: 1_099_511_627_776,
  default: 0,
  description:
    "Leave out so many bytes (UTF-8) at the beginning of this output: what the client has already. Where they end within a character, the rest of that character is left out, too.",
  examples: [1_024],
} as const;

export const READ_QUERY = {
  type: "object",
  additionalProperties: false,
  properties: { wait: WAIT, result: RESULT, stdout_from: OUTPUT_FROM, stderr_from: OUTPUT_FROM },
} as const;
export type ReadQuery = FromSchema<typeof READ_QUERY>;

export const EXECUTE_QUERY = {
  type: "object",
  additionalProperties: false,
  properties: {
    wait: {
      type: "number",
      minimum: 0,
      maximum: 60,
      description:
        "Wait up to this many seconds for the outcome: 200 with the execution once its status is neither pending nor running, otherwise 202.",
      examples: [20],
    },
    result: {
      ...RESULT,
      description: "The form of `result` in a 200, as in GET /executions/{execution_id}.",
    },
  },
} as const;
export type ExecuteQuery = FromSchema<typeof EXECUTE_QUERY>;

export const NO_QUERY = { type: "object", additionalProperties: false, properties: {} } as const;

export const LLM_REQUEST = {
  $id: "LlmRequest",
  type: "object",
  required: ["id", "prompt", "model"],
  properties: { id: { type: "string" }, prompt: { type: "string" }, model: { type: "string" } },
} as const;

export const WAITING_ON = {
  $id: "WaitingOn",
  type: "object",
  required: ["kind", "queue_position", "detail"],
  properties: {
    kind: {
      type: "string",
      enum: ["worker", "queue", "service"],
      description:
        "worker: none of the project is ready, such as while packages are installed. queue: all are busy. service: a part of Airlock does not answer.",
    },
    queue_position: {
      ...nullable("integer"),
      description: "Place among the project's executions that wait for a worker; 1 is next, null is unknown.",
    },
    detail: { type: "string", description: "The same in a sentence." },
  },
} as const;

export const EXECUTION = {
  $id: "Execution",
  type: "object",
  required: [
    "execution_id",
    "project",
    "status",
    "result",
    "stdout",
    "stderr",
    "error",
    "llm_request",
    "waiting_on",
    "memory_updates",
    "execution_time_ms",
    "created_at",
    "started_at",
    "ended_at",
    "end_reason",
    "truncated",
  ],
  properties: {
    execution_id: EXECUTION_ID,
    project: { type: "string" },
    status: EXECUTION_STATUS,
    result: {
      description:
        "What the script gave to set_result; any JSON value, digit for digit. With `result=text` a string that holds its JSON text.",
    },
    stdout: { type: "string" },
    stderr: { type: "string" },
    error: { ...nullable("string"), description: "What went wrong, for the reader of the script." },
    llm_request: orNull(
      LLM_REQUEST,
      "The llm request to respond to with POST /executions/{execution_id}/respond while awaiting_llm; otherwise null.",
    ),
    waiting_on: orNull(WAITING_ON, "What a pending execution waits for; otherwise null."),
    memory_updates: {
      ...categories,
      description: "{category: {key: value}} that the script wrote; empty unless it completed.",
    },
    execution_time_ms: {
      ...nullable("integer"),
      description:
        "Milliseconds of running, pauses excluded; null until the script has started. While it runs, as of the last full second or pause. It never goes down.",
    },
    created_at: INSTANT,
    started_at: orNull(INSTANT, "null until the script has started."),
    ended_at: orNull(INSTANT, "null until the execution has ended."),
    end_reason: orNull(END_REASON, "null until the execution has ended."),
    truncated: {
      type: "object",
      description:
        "Bytes that were cut from each output because they were over the project's limit. Of an execution that ended as `worker_lost`: at least so many.",
      required: ["stdout", "stderr"],
      properties: { stdout: { type: "integer" }, stderr: { type: "integer" } },
    },
  },
} as const;

/** The answer to POST /execute?wait= when the script has ended or waits for a response. */
export const EXECUTED = {
  $id: "Executed",
  allOf: [EXECUTION, { type: "object", required: ["poll_url"], properties: { poll_url: POLL_URL } }],
} as const;

export const REDACTIONS = {
  $id: "Redactions",
  type: "object",
  required: ["execution_id", "redactions"],
  properties: {
    execution_id: EXECUTION_ID,
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
            type: "string",
            enum: ["stdout", "stderr", "error", "llm_prompt", "llm_model", "result", "memory_updates"],
          },
          count: { type: "integer", minimum: 1 },
        },
      },
    },
  },
} as const;

export const RESPOND_BODY = {
  $id: "RespondRequest",
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
      ...optional("string"),
      description: "The id of llm_request; a response to another llm request is refused with 409.",
    },
  },
} as const;
export type RespondBody = Given<FromSchema<typeof RESPOND_BODY>>;

export const EMPTY_OBJECT = { type: "object", additionalProperties: false, properties: {} } as const;
