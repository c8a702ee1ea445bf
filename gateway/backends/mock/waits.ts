/** The mock's timers: the next change of each execution, and the long polls that wait for that change. */
export type MockWaits = {
  /**
   * Calls `then` once after `ms` milliseconds, unless `cut` is called before. At 0 ms, `then` runs after the
   * response to the current request was made.
   */
  after(executionId: string, ms: number, then: () => void): void;
  /** Cancels the callback that is planned for this execution, if any. */
  cut(executionId: string): void;
  /**
   * Resolves when the planned callback of this execution was called or cancelled, when `ms` milliseconds are
   * over, or when `signal` aborts.
   */
  until(executionId: string, ms: number, signal: AbortSignal): Promise<void>;
  close(): void;
};

export function createMockWaits(): MockWaits {
  const underWay = new Map<string, { readonly over: Promise<void>; readonly cut: () => void }>();
  const cut = (executionId: string) => underWay.get(executionId)?.cut();
  return {
    cut,
    after(executionId, ms, then) {
      const { promise: over, resolve } = Promise.withResolvers<void>();
      const happen = () => {
        underWay.delete(executionId);
        then();
        resolve();
      };
      const timer = ms === 0 ? setImmediate(happen) : setTimeout(happen, ms);
      underWay.set(executionId, {
        over,
        cut() {
          underWay.delete(executionId);
          clearTimeout(timer as NodeJS.Timeout);
          clearImmediate(timer as NodeJS.Immediate);
          resolve();
        },
      });
    },
    async until(executionId, ms, signal) {
      const { promise: enough, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, ms);
      signal.addEventListener("abort", () => resolve(), { once: true });
      await Promise.race([enough, underWay.get(executionId)?.over]);
      clearTimeout(timer);
    },
    close() {
      for (const executionId of [...underWay.keys()]) cut(executionId);
    },
  };
}
