import { AirlockError } from "#common/errors.ts";
import type { Submission } from "#common/submission/submission.ts";
import type { ExecutionStore } from "../store/store.ts";

/**
 * The submission that a run is started with. The submission may be megabytes, so the router keeps it in
 * memory only until the worker has received it.
 */
export type ScriptToStart = {
  readonly executionId: string;
  /**
   * The execution's epoch, a number that grows each time a router takes the execution, so that the worker can
   * refuse an earlier router.
   */
  readonly epoch: number;
  /**
   * Resolves to the submission, from memory or from the store. Rejects with `worker_lost` when the execution
   * has been deleted.
   */
  read(): Promise<Submission>;
  /** Frees the submission's memory. A later `read` reads the submission from the store. */
  forget(): void;
};

/**
 * Holds the submission of an execution for the start of its run. `submission` is undefined when it must be
 * read from the store, as after a takeover.
 */
export function scriptToStart(
  { executionId, epoch }: Pick<ScriptToStart, "executionId" | "epoch">,
  store: Pick<ExecutionStore, "getSubmission">,
  submission?: Submission,
): ScriptToStart {
  let atHand = submission;
  return {
    executionId,
    epoch,
    async read() {
      const found = atHand ?? (await store.getSubmission(executionId));
      if (found) return found;
      throw new AirlockError(
        "worker_lost",
        "The execution was forgotten before its script could be started again.",
      );
    },
    forget() {
      atHand = undefined;
    },
  };
}
