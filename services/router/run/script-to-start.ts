import { AirlockError } from "#common/errors.ts";
import type { Submission } from "#common/submission/submission.ts";
import type { ExecutionStore } from "../store/store.ts";

/** What a run is started with. It may be megabytes, so that it is at hand only until its worker has it. */
export type ScriptToStart = {
  readonly executionId: string;
  /** How often the execution has changed hands. */
  readonly epoch: number;
  /** Reads it again where it has been forgotten. */
  read(): Promise<Submission>;
  forget(): void;
};

/** `submission`: what is at hand already. */
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
