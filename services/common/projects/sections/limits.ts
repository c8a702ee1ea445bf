import { type DocumentOf, section } from "./section.ts";

// The largest limit, in MB, of a run's result and of each output (stdout and stderr), because all three must
// fit into one gRPC message (see grpc/limits.ts).
const MAX_CHANNEL_MB = 32;

// The smallest limit, in MB: one byte.
const LEAST_MB = 0.000_001;

// Megabytes that an execution may store besides its result and outputs: the largest request, 16, and one for
// what Airlock itself stores.
const REQUEST_MB = 17;

const MIB = 1024 * 1024;

const properties = {
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
      // The smallest share of a CPU that the kernel grants.
      cpus: { type: "number", minimum: 0.01, maximum: 1_024 },
      network_mb: { type: "integer", minimum: 1, maximum: 1_048_576 },
      queue: { type: "integer", minimum: 1, maximum: 1_000_000 },
      stored_mb: { type: "integer", minimum: 1, maximum: 1_048_576 },
    },
  },
} as const;

export type LimitsDocument = DocumentOf<typeof properties>;

/** The limits of the project, apart from `network_mb`, which `ProjectNetwork` has. */
export type ProjectLimits = {
  readonly timeoutMs: number;
  readonly llmTimeoutMs: number;
  readonly memoryBytes: number;
  readonly maxOutputBytes: number;
  readonly maxResultBytes: number;
  readonly diskBytes: number;
  readonly pids: number;
  readonly cpus: number;
  /**
   * The number of the project's executions that may be unfinished at the same time; further ones are refused.
   */
  readonly queue: number;
  /** Bytes that all executions of the project may store together, whether or not they have ended. */
  readonly storedBytes: number;
};

/**
 * The limits of a project: those of one run, which the worker and its container enforce, and those of the
 * project's queue and stored bytes, which the router enforces.
 */
export const limitsSection = section({
  properties,
  problems: ({ limits = {} }: LimitsDocument) => {
    const largestMb = largestExecutionMb(limits);
    if ((limits.stored_mb ?? largestMb) >= largestMb) return [];
    const message = `must be at least ${largestMb}, because one execution may store that much: the largest request (${REQUEST_MB}), and max_output_mb and max_result_mb twice each`;
    return [{ field: "limits.stored_mb", message }];
  },
  read: ({ limits = {} }: LimitsDocument): { readonly limits: ProjectLimits } => ({
    limits: {
      timeoutMs: Math.round((limits.timeout ?? 300) * 1_000),
      llmTimeoutMs: Math.round((limits.llm_timeout ?? 900) * 1_000),
      memoryBytes: (limits.memory_mb ?? 512) * MIB,
      maxOutputBytes: Math.round((limits.max_output_mb ?? 10) * MIB),
      maxResultBytes: Math.round((limits.max_result_mb ?? 10) * MIB),
      diskBytes: (limits.disk_mb ?? 256) * MIB,
      pids: limits.pids ?? 64,
      cpus: limits.cpus ?? 1,
      queue: limits.queue ?? 1_000,
      storedBytes: (limits.stored_mb ?? 1_000) * MIB,
    },
  }),
  revisions: ({ limits }) => ({
    size: [limits.cpus, limits.memoryBytes, limits.diskBytes, limits.pids],
    provision: [limits],
  }),
});

/**
 * Megabytes that one execution may store at most: its request, stdout and stderr (`max_output_mb` each), its
 * result and the changes that the script makes to its memory (`max_result_mb` each).
 */
function largestExecutionMb(limits: NonNullable<LimitsDocument["limits"]>): number {
  return Math.ceil(REQUEST_MB + 2 * (limits.max_output_mb ?? 10) + 2 * (limits.max_result_mb ?? 10));
}
