import { AirlockError } from "../../services/common/errors.ts";
import { type Execution, ExecutionStatus } from "../../services/common/gen/airlock/v1/execution.ts";
import type {
  ListExecutionsRequest,
  ListExecutionsResponse,
} from "../../services/common/gen/airlock/v1/router.ts";

const MAX_EXECUTIONS = 10_000;
const MAX_CODE_CHARACTERS = 64 * 1024 * 1024;

type Entry = {
  readonly execution: Execution;
  readonly code: string;
  readonly position: number;
  readonly key: string | undefined;
};
type KeyRecord = { readonly fingerprint: string; readonly executionId: string };

export type IdempotencyClaim = { readonly key: string; readonly fingerprint: string };

/** The latest executions, in memory; the oldest make room. */
export type MockStore = {
  add(execution: Execution, code: string, idempotency?: IdempotencyClaim): Execution;
  /** The execution that was added with this key. Throws when it was added with another fingerprint. */
  findReplay(idempotency: IdempotencyClaim): Execution | undefined;
  /** Replaces the execution of the same id. */
  update(execution: Execution): Execution;
  get(executionId: string): Entry;
  list(request: ListExecutionsRequest): ListExecutionsResponse;
  count(status: ExecutionStatus): number;
};

export function createMockStore(): MockStore {
  const entries = new Map<string, Entry>();
  // A key goes with its execution.
  const keys = new Map<string, KeyRecord>();
  let codeCharacters = 0;
  let added = 0;
  const makeRoom = () => {
    for (const [id, { code, key }] of entries) {
      if (entries.size <= MAX_EXECUTIONS && codeCharacters <= MAX_CODE_CHARACTERS) return;
      entries.delete(id);
      if (key !== undefined) keys.delete(key);
      codeCharacters -= code.length;
    }
  };
  const get = (executionId: string): Entry => {
    const entry = entries.get(executionId);
    if (entry) return entry;
    throw new AirlockError(
      "execution_not_found",
      "There is no such execution: the id is wrong, or it ended long ago. Use the execution_id from the answer to POST /execute.",
    );
  };
  return {
    get,
    add(execution, code, idempotency) {
      const { executionId } = execution;
      entries.set(executionId, { execution, code, position: ++added, key: idempotency?.key });
      if (idempotency) keys.set(idempotency.key, { fingerprint: idempotency.fingerprint, executionId });
      codeCharacters += code.length;
      makeRoom();
      return execution;
    },
    findReplay({ key, fingerprint }) {
      const record = keys.get(key);
      if (!record) return undefined;
      if (record.fingerprint === fingerprint) return get(record.executionId).execution;
      throw new AirlockError(
        "idempotency_key_reused",
        "This idempotency key was used for another request. Send the first request again as it was, or this one with a new key.",
      );
    },
    update(execution) {
      const entry = entries.get(execution.executionId);
      if (entry) entries.set(execution.executionId, { ...entry, execution });
      return execution;
    },
    list({ project, status, limit, cursor, retryOf }) {
      // Nothing is repeated here.
      if (retryOf) return { executions: [], nextCursor: "" };
      const before = cursor === "" ? Number.POSITIVE_INFINITY : (entries.get(cursor)?.position ?? 0);
      const matching = [...entries.values()]
        .filter(({ position }) => position < before)
        .filter(({ execution }) => project === "" || execution.project === project)
        .filter(({ execution }) => status === ExecutionStatus.UNSPECIFIED || execution.status === status)
        .sort((a, b) => b.position - a.position);
      const page = matching.slice(0, limit);
      const last = page.at(-1);
      return {
        executions: page.map(({ execution }) => execution),
        nextCursor: last && matching.length > limit ? last.execution.executionId : "",
      };
    },
    count: (status) => [...entries.values()].filter(({ execution }) => execution.status === status).length,
  };
}
