import type { Clock } from "#common/resilience/clock.ts";
import type { ExecutionStore, Outline } from "../store/store.ts";

/**
 * Reads the execution's outline, again after each change, until `isEnough` says so, `waitMs` are over or `signal`
 * aborts; resolves to what was read last, undefined when there is no such execution.
 */
export async function watchExecution(
  store: ExecutionStore,
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
  // Listening starts before the first read, so that no change falls between the two.
  const stopListening = over ? undefined : store.onChange(executionId, onChange);
  const stopTimer = over ? undefined : clock.after(limits.waitMs, onOver);
  limits.signal?.addEventListener("abort", onOver, { once: true });
  try {
    for (;;) {
      changed = false;
      // Only the outline is read, because each change wakes every long poll of the execution, and its output may be
      // large.
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
