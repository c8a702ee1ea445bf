import type { Clock } from "#common/resilience/clock.ts";
import type { ExecutionStore, Outline } from "../store/store.ts";

/**
 * Reads the execution's outline, and reads it again after each change, until `isEnough` accepts it, `waitMs`
 * milliseconds are over or `signal` aborts. Resolves to the outline that was read last; undefined, at once,
 * when there is no such execution.
 */
export async function watchExecution(
  store: Pick<ExecutionStore, "getOutline" | "onChange">,
  executionId: string,
  isEnough: (outline: Outline) => boolean,
  clock: Clock,
  limits: { waitMs: number; signal?: AbortSignal },
): Promise<Outline | undefined> {
  let wake: () => void = () => undefined;
  let changed = false;
  let over = limits.waitMs <= 0 || limits.signal?.aborted === true;
  const onChange = () => {
    changed = true;
    wake();
  };
  const onOver = () => {
    over = true;
    wake();
  };
  // The function listens for changes before the first read, so that no change between the read and the wait
  // is missed.
  const stopListening = over ? undefined : store.onChange(executionId, onChange);
  const stopTimer = over ? undefined : clock.after(limits.waitMs, onOver);
  limits.signal?.addEventListener("abort", onOver, { once: true });
  try {
    for (;;) {
      changed = false;
      // Only the outline is read, because each change wakes every long poll of the execution, and the whole
      // execution with its output may be megabytes.
      const outline = await store.getOutline(executionId);
      if (!outline || over || isEnough(outline)) return outline;
      if (!changed) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    stopListening?.();
    stopTimer?.();
    limits.signal?.removeEventListener("abort", onOver);
  }
}
