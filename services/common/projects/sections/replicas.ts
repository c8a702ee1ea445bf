import { type DocumentOf, section } from "./section.ts";

const properties = {
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
} as const;

type ReplicasDocument = DocumentOf<typeof properties>;

type Replicas = {
  /**
   * The number of workers that the pool-manager starts; with `scaling`, the number that it starts at first.
   */
  readonly replicas: number;
  /**
   * The least and the most workers between which the pool-manager follows the queue. The pool grows while the
   * 95th percentile of the waits for a worker is over `targetWaitMs` milliseconds. Undefined means always
   * `replicas` workers.
   */
  readonly scaling: { readonly min: number; readonly max: number; readonly targetWaitMs: number } | undefined;
};

/**
 * The section `replicas` of a project file: how many workers the pool-manager starts, and whether their
 * number follows the queue.
 */
export const replicasSection = section({
  properties,
  problems: ({ replicas }: ReplicasDocument) =>
    typeof replicas === "object" && replicas.min > replicas.max
      ? [{ field: "replicas.min", message: "must not be more than replicas.max" }]
      : [],
  read: ({ replicas = 1 }: ReplicasDocument): Replicas => {
    if (typeof replicas === "number") return { replicas, scaling: undefined };
    const { min, max, target_wait_ms: targetWaitMs = 500 } = replicas;
    return { replicas: Math.max(1, min), scaling: { min, max, targetWaitMs } };
  },
});
