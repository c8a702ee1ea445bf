import { isTerminal } from "#common/execution-names.ts";
import { executionNotFound, notADeadLetter } from "#common/execution-refusals.ts";
import type { Scope } from "#common/identity/ownership.ts";
import type { ScopedStore } from "../store/scoped-store.ts";
import type { StoredLetter } from "../store/store.ts";

/**
 * Reads a dead letter, with the submission of its execution. Rejects when there is no such execution in the
 * scope, and when it is no dead letter, with its status as the reason.
 */
export async function findLetter(
  store: Pick<ScopedStore, "getDeadLetter" | "read">,
  executionId: string,
  scope: Scope,
): Promise<StoredLetter> {
  const found = await store.getDeadLetter(executionId, scope);
  if (found) return found;
  const reading = await store.read(executionId, undefined, scope);
  if (!reading) throw executionNotFound();
  const { state } = reading.execution;
  const stands =
    isTerminal(state.status) && "ending" in state
      ? `ended as ${state.ending.reason}`
      : `has the status ${state.status}`;
  throw notADeadLetter(stands);
}
