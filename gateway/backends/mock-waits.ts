/** The mock's executions that run for a while, and the calls that wait for their end. */
export type MockWaits = {
  /** Calls `then` once after `ms`. */
  after(executionId: string, ms: number, then: () => void): void;
  /** Resolves when that execution has run long enough, after `ms`, or when `signal` aborts. */
  until(executionId: string, ms: number, signal: AbortSignal): Promise<void>;
  close(): void;
};

export function createMockWaits(): MockWaits {
  const running = new Map<string, { readonly over: Promise<void>; readonly timer: NodeJS.Timeout }>();
  return {
    after(executionId, ms, then) {
      const { promise: over, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(() => {
        running.delete(executionId);
        then();
        resolve();
      }, ms);
      running.set(executionId, { over, timer });
    },
    async until(executionId, ms, signal) {
      const { promise: enough, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, ms);
      signal.addEventListener("abort", () => resolve(), { once: true });
      await Promise.race([enough, running.get(executionId)?.over]);
      clearTimeout(timer);
    },
    close() {
      for (const { timer } of running.values()) clearTimeout(timer);
    },
  };
}
