import { AirlockError } from "../common/errors.ts";
import { isTerminal } from "../common/execution-names.ts";
import { unknownExecution } from "./executions.ts";
import type { DeadLetter, ExecutionStore } from "./store/store.ts";

type Found = NonNullable<Awaited<ReturnType<ExecutionStore["getDeadLetter"]>>>;

/** A dead letter and what was submitted. Rejects, saying why, when the execution is none. */
export async function findLetter(store: ExecutionStore, executionId: string): Promise<Found> {
  const found = await store.getDeadLetter(executionId);
  if (found) return found;
  const reading = await store.read(executionId);
  if (!reading) throw unknownExecution();
  const { state } = reading.execution;
  const stands =
    isTerminal(state.status) && "ending" in state
      ? `ended as ${state.ending.reason}`
      : `has the status ${state.status}`;
  throw new AirlockError(
    "not_a_dead_letter",
    `The execution ${stands}; only what ended as output_withheld, worker_lost or start_failed can be retried, and the list of dead letters has it. Submit anything else again as a new execution.`,
  );
}

export function alreadyRetried({ newestRetries }: DeadLetter): AirlockError {
  return new AirlockError(
    "already_retried",
    `The execution was retried as ${newestRetries.at(-1) ?? "another one"}; read that one. To retry once more, send {"again": true}.`,
  );
}
