import {
  DEAD_LETTER_REASONS,
  type EndReasonName,
  endReasonFromProto,
  statusFromProto,
} from "#common/execution-names.ts";
import { alreadyRetried, notADeadLetter } from "#common/execution-refusals.ts";
import type { ListDeadLettersRequest, ListDeadLettersResponse } from "#proto/router.ts";
import type { MockEntry, MockStore } from "./store.ts";

const MAX_SHOWN = 20;

/**
 * One page of the mock's dead letters: executions whose script asked for an ending that would be Airlock's
 * own fault.
 */
export function listMockDeadLetters(
  store: MockStore,
  { project, limit, cursor }: ListDeadLettersRequest,
): ListDeadLettersResponse {
  const { entries, nextCursor } = store.page({ project, limit, cursor }, isDeadLetter);
  const deadLetters = entries.map(({ execution }) => {
    const retries = store.retriesOf(execution.executionId);
    return {
      executionId: execution.executionId,
      project: execution.project,
      endReason: execution.endReason,
      error: execution.error ?? "",
      createdAtMs: execution.createdAtMs,
      endedAtMs: execution.endedAtMs ?? 0,
      retriedAs: retries.slice(-MAX_SHOWN),
      retries: retries.length,
    };
  });
  return { deadLetters, nextCursor };
}

/**
 * Finds the dead letter to retry. Throws when the execution is no dead letter, or when it was retried before
 * and `again` is false.
 */
export function findMockDeadLetter(store: MockStore, executionId: string, again: boolean): MockEntry {
  const entry = store.get(executionId);
  if (!isDeadLetter(entry)) {
    const reason = endReasonFromProto(entry.execution.endReason);
    const status = statusFromProto(entry.execution.status);
    throw notADeadLetter(reason ? `ended as ${reason}` : `has the status ${status}`);
  }
  const retries = store.retriesOf(executionId);
  if (retries.length > 0 && !again) throw alreadyRetried(retries.at(-1));
  return entry;
}

function isDeadLetter({ execution }: MockEntry): boolean {
  const reason = endReasonFromProto(execution.endReason);
  return reason !== undefined && (DEAD_LETTER_REASONS as readonly EndReasonName[]).includes(reason);
}
