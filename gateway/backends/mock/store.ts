import { executionNotFound, idempotencyKeyReused } from "#common/execution-refusals.ts";
import { type Execution, ExecutionStatus } from "#proto/execution.ts";
import type { ListExecutionsRequest, ListExecutionsResponse } from "#proto/router.ts";

/** Executions that are kept at most. */
const MAX_EXECUTIONS = 10_000;
/** Characters of all kept scripts together at most. */
const MAX_CODE_CHARACTERS = 64 * 1024 * 1024;

export type MockEntry = {
  readonly execution: Execution;
  readonly code: string;
  /** A number that grows with each added execution, by which pages are ordered. */
  readonly position: number;
  /** The idempotency key of the submission, with its principal; undefined without one. */
  readonly key: string | undefined;
  /** The id of the dead letter that this execution retries; undefined when it is no retry. */
  readonly retryOf: string | undefined;
};
type KeyRecord = { readonly fingerprint: string; readonly executionId: string };

/** `key`: the idempotency key with the principal that used it, because each principal has keys of its own. */
export type IdempotentRequest = { readonly key: string; readonly fingerprint: string };

/**
 * The mock's executions, in memory. The oldest are dropped when there are more than MAX_EXECUTIONS, or their
 * scripts are longer than MAX_CODE_CHARACTERS together.
 */
export type MockStore = {
  add(
    execution: Execution,
    code: string,
    more?: { readonly idempotency?: IdempotentRequest | undefined; readonly retryOf?: string },
  ): Execution;
  /**
   * The execution that an earlier submission with this idempotency key added; undefined when there is none.
   * Throws idempotency_key_reused when that submission had another fingerprint, which means another body.
   */
  findReplay(idempotency: IdempotentRequest): Execution | undefined;
  /** Replaces the stored execution with the same id. */
  update(execution: Execution): Execution;
  get(executionId: string): MockEntry;
  list(request: ListExecutionsRequest): ListExecutionsResponse;
  /** One page of the entries that `isWanted` accepts, newest first. */
  page(
    request: Pick<ListExecutionsRequest, "project" | "limit" | "cursor">,
    isWanted: (entry: MockEntry) => boolean,
  ): { readonly entries: readonly MockEntry[]; readonly nextCursor: string };
  /** The ids of the executions that retry this dead letter, oldest first. */
  retriesOf(executionId: string): readonly string[];
  count(status: ExecutionStatus): number;
};

export function createMockStore(): MockStore {
  const entries = new Map<string, MockEntry>();
  // Fingerprint and execution of each idempotency key. A key is dropped together with its execution.
  const keys = new Map<string, KeyRecord>();
  let codeCharacters = 0;
  let added = 0;
  const dropOldest = () => {
    for (const [id, { code, key }] of entries) {
      if (entries.size <= MAX_EXECUTIONS && codeCharacters <= MAX_CODE_CHARACTERS) return;
      entries.delete(id);
      if (key !== undefined) keys.delete(key);
      codeCharacters -= code.length;
    }
  };
  const get = (executionId: string): MockEntry => {
    const entry = entries.get(executionId);
    if (entry) return entry;
    throw executionNotFound();
  };
  const page: MockStore["page"] = ({ project, limit, cursor }, isWanted) => {
    const before = cursor === "" ? Number.POSITIVE_INFINITY : (entries.get(cursor)?.position ?? 0);
    const matching = [...entries.values()]
      .filter(({ position, execution }) => position < before && [execution.project, ""].includes(project))
      .filter(isWanted)
      .sort((one, other) => other.position - one.position);
    const found = matching.slice(0, limit);
    const last = found.at(-1);
    return {
      entries: found,
      nextCursor: last && matching.length > limit ? last.execution.executionId : "",
    };
  };
  return {
    get,
    add(execution, code, { idempotency, retryOf } = {}) {
      const { executionId } = execution;
      entries.set(executionId, { execution, code, position: ++added, key: idempotency?.key, retryOf });
      if (idempotency) keys.set(idempotency.key, { fingerprint: idempotency.fingerprint, executionId });
      codeCharacters += code.length;
      dropOldest();
      return execution;
    },
    findReplay({ key, fingerprint }) {
      const record = keys.get(key);
      if (!record) return undefined;
      if (record.fingerprint === fingerprint) return get(record.executionId).execution;
      throw idempotencyKeyReused();
    },
    update(execution) {
      const entry = entries.get(execution.executionId);
      if (entry) entries.set(execution.executionId, { ...entry, execution });
      return execution;
    },
    page,
    retriesOf: (executionId) =>
      [...entries.values()]
        .filter(({ retryOf }) => retryOf === executionId)
        .sort((one, other) => one.position - other.position)
        .map(({ execution }) => execution.executionId),
    list({ status, retryOf, ...request }) {
      const found = page(request, (entry) => {
        const isAsked = status === ExecutionStatus.UNSPECIFIED || entry.execution.status === status;
        return isAsked && (!retryOf || entry.retryOf === retryOf);
      });
      return { executions: found.entries.map(({ execution }) => execution), nextCursor: found.nextCursor };
    },
    count: (status) => [...entries.values()].filter(({ execution }) => execution.status === status).length,
  };
}
