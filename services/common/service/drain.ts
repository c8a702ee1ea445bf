/** Tells handlers of long-held requests that the service is about to stop. */
export type Drain = {
  readonly begun: boolean;
  /** Calls `run` when draining begins. The returned function removes `run` again. */
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
