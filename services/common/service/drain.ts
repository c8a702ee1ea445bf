/**
 * Tells handlers that hold a request open (a long poll) that the service is about to stop, so that they
 * answer at once.
 */
export type Drain = {
  readonly begun: boolean;
  /**
   * Calls `run` when draining begins. The returned function removes `run` again. When draining has begun
   * already, `run` is never called, so the caller checks `begun` too.
   */
  onBegin(run: () => void): () => void;
  begin(): void;
};

export function createDrain(): Drain {
  let begun = false;
  const waiting = new Set<() => void>();
  return {
    get begun() {
      return begun;
    },
    onBegin(run) {
      waiting.add(run);
      return () => waiting.delete(run);
    },
    begin() {
      begun = true;
      for (const run of waiting) run();
      waiting.clear();
    },
  };
}
