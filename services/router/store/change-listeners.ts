import type { OwnChange } from "./store.ts";

type Listener = (change?: OwnChange) => void;

/**
 * The listeners to changes of executions, by execution id. An id may be any text, because it comes from callers
 * and from the database's notices. Therefore this is no EventEmitter, which throws when the event is `error`.
 */
export type ChangeListeners = {
  /** Calls `listener` after each change of the execution. The returned function removes the listener. */
  add(executionId: string, listener: Listener): () => void;
  /** Calls the execution's listeners. `change`: undefined when another router made the change. */
  tell(executionId: string, change?: OwnChange): void;
  /** The ids of the executions that have listeners. */
  watched(): string[];
};

export function createChangeListeners(): ChangeListeners {
  const byExecution = new Map<string, Set<{ readonly listener: Listener }>>();
  return {
    add(executionId, listener) {
      const own = { listener };
      const all = byExecution.get(executionId) ?? new Set();
      byExecution.set(executionId, all.add(own));
      return () => {
        all.delete(own);
        if (all.size === 0 && byExecution.get(executionId) === all) byExecution.delete(executionId);
      };
    },
    tell(executionId, change) {
      for (const { listener } of [...(byExecution.get(executionId) ?? [])]) listener(change);
    },
    watched: () => [...byExecution.keys()],
  };
}
