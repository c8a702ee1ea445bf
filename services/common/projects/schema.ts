import type { FromSchema } from "json-schema-to-ts";

/** Project names are DNS labels, because containers and networks are named after projects. */
export const PROJECT_NAME_PATTERN = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";

const HOST_PATTERN = "^(\\*\\.)?[A-Za-z0-9.-]+(:[0-9]{1,5})?$";

// A result and two outputs of this size must fit into one message (see grpc/limits.ts).
const MAX_CHANNEL_MB = 32;

// The smallest limit, in MB: one byte.
const LEAST_MB = 0.000_001;

const text = { type: "string", maxLength: 10_000 } as const;
// A leading dash is refused, because pip and uv would read the text as an option.
const requirement = {
  type: "string",
  minLength: 1,
  maxLength: 500,
  pattern: "^[^-\\s][^\\r\\n]*$",
  $comment: "one line that begins with neither a dash nor a space",
} as const;
const environmentName = {
  type: "string",
  pattern: "^[A-Za-z_][A-Za-z0-9_]*$",
  $comment: "letters, digits and _, with no digit first",
} as const;

/**
 * The schema of project files, `projects/NAME.yaml`. The `$comment` of a pattern describes it in error
 * messages.
 */
export const PROJECT_SCHEMA = {
  type: "object",
  required: ["name"],
  additionalProperties: false,
  properties: {
    name: {
      type: "string",
      pattern: PROJECT_NAME_PATTERN,
      $comment: "1 to 63 of a-z, 0-9 and -, with no - first or last",
    },
    description: { type: "string", maxLength: 500 },
    packages: { type: "array", items: requirement, maxItems: 200 },
    preload: {
      type: "array",
      items: {
        type: "string",
        pattern: "^[A-Za-z_][A-Za-z0-9_.]*$",
        $comment: "the name of a module, such as pandas or os.path",
      },
      maxItems: 200,
    },
    // Names of programs, not paths. Commas are not allowed, because the worker gets the names as one
    // argument with commas between them.
    programs: {
      type: "array",
      items: {
        type: "string",
        pattern: "^[A-Za-z0-9_][A-Za-z0-9._+-]*$",
        maxLength: 100,
        $comment: "the name of a program without a path, such as git",
      },
      maxItems: 200,
    },
    settings: {
      type: "object",
      propertyNames: environmentName,
      additionalProperties: text,
    },
    secrets: {
      type: "object",
      propertyNames: environmentName,
      additionalProperties: {
        $comment: "a text, or {value: text, inject: {host: text, header: text, format: text}}",
        oneOf: [
          text,
          {
            type: "object",
            required: ["value"],
            additionalProperties: false,
            properties: {
              value: text,
              inject: {
                type: "object",
                required: ["host", "header"],
                additionalProperties: false,
                properties: { host: text, header: text, format: text },
              },
            },
          },
        ],
      },
    },
    network_allowlist: {
      type: "array",
      items: {
        type: "string",
        pattern: HOST_PATTERN,
        $comment: "host, *.suffix or host:port, without https:// and without a path",
      },
      maxItems: 200,
    },
    allow_private: { type: "array", items: { type: "string", minLength: 1 }, maxItems: 200 },
    limits: {
      type: "object",
      additionalProperties: false,
      properties: {
        timeout: { type: "number", minimum: 0.001, maximum: 86_400 },
        llm_timeout: { type: "number", minimum: 0.001, maximum: 604_800 },
        memory_mb: { type: "integer", minimum: 16, maximum: 1_048_576 },
        max_output_mb: { type: "number", minimum: LEAST_MB, maximum: MAX_CHANNEL_MB },
        max_result_mb: { type: "number", minimum: LEAST_MB, maximum: MAX_CHANNEL_MB },
        disk_mb: { type: "integer", minimum: 1, maximum: 1_048_576 },
        pids: { type: "integer", minimum: 1, maximum: 100_000 },
        // The kernel grants no smaller share of a CPU.
        cpus: { type: "number", minimum: 0.01, maximum: 1_024 },
        network_mb: { type: "integer", minimum: 1, maximum: 1_048_576 },
        queue: { type: "integer", minimum: 1, maximum: 1_000_000 },
        stored_mb: { type: "integer", minimum: 1, maximum: 1_048_576 },
      },
    },
    replicas: {
      $comment: "a whole number from 1 to 100, or {min: 0 to 100, max: 1 to 100, target_wait_ms: 500}",
      oneOf: [
        { type: "integer", minimum: 1, maximum: 100 },
        {
          type: "object",
          required: ["min", "max"],
          additionalProperties: false,
          properties: {
            min: { type: "integer", minimum: 0, maximum: 100 },
            max: { type: "integer", minimum: 1, maximum: 100 },
            target_wait_ms: { type: "integer", minimum: 1, maximum: 3_600_000 },
          },
        },
      ],
    },
    isolation: { enum: ["standard", "strict", "gvisor"] },
    runtime: {
      type: "string",
      pattern: "^[a-zA-Z0-9._-]+$",
      $comment: "the name of a runtime of the Docker engine, such as runsc",
    },
  },
} as const;

export type ProjectDocument = FromSchema<typeof PROJECT_SCHEMA>;
