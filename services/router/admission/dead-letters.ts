import { isTerminal } from "#common/execution-names.ts";
import { executionNotFound, notADeadLetter } from "#common/execution-refusals.ts";
import type { ExecutionStore } from "../store/store.ts";

type Found = NonNullable<Awaited<ReturnType<ExecutionStore["getDeadLetter"]>>>;

/**
 * Reads a dead letter and the submission of its execution. Rejects when the execution is unknown, and when it
 * is no dead letter, with its status as the reason.
 */
export async function findLetter(store: ExecutionStore, executionId: string): Promise<Found> {
  const found = await store.getDeadLetter(executionId);
  if (found) return found;
  const reading = await store.read(executionId);
  if (!reading) throw executionNotFound();
  const { state } = reading.execution;
  const stands =
    isTerminal(state.status) && "ending" in state
      ? `ended as ${state.ending.reason}`
      : `has the status ${state.status}`;
  throw notADeadLetter(stands);
}
