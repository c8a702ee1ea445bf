import { AirlockError } from "#common/errors.ts";
import type { Submission } from "#common/submission/submission.ts";
import type { ExecutionStore } from "../store/store.ts";

/**
 * The submission that a run is started with. It may be megabytes, so it is kept in memory only until its
 * worker has it.
 */
export type ScriptToStart = {
  readonly executionId: string;
  /** The execution's epoch, which grows each time a router takes the execution. */
  readonly epoch: number;
  /** The submission, from memory or from the store. Rejects when the execution has been deleted. */
  read(): Promise<Submission>;
  forget(): void;
};

/** `submission` is undefined when it has to be read from the store. */
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
