import type { Clock } from "#common/resilience/clock.ts";
import type { ExecutionStore, Outline, OwnChange } from "../store/store.ts";

/**
 * Reads the execution's outline, and reads it again after each change, until `isEnough` accepts it, `waitMs`
 * milliseconds are over or `signal` aborts. `isEnough` accepts neither pending nor running executions.
 * `isUnderWay`: the execution is known to be pending or running, so that the first read is left out;
 * undefined means false. Resolves to the outline that was read last; undefined, at once, when there is no
 * such execution.
 */
export async function watchExecution(
  store: Pick<ExecutionStore, "getOutline" | "onChange">,
  executionId: string,
  isEnough: (outline: Outline) => boolean,
  clock: Clock,
  limits: { waitMs: number; signal?: AbortSignal; isUnderWay?: boolean },
): Promise<Outline | undefined> {
  let wake: () => void = () => undefined;
  let changed = false;
  let mustRead = limits.isUnderWay !== true;
  let told: Outline | undefined;
  let over = limits.waitMs <= 0 || limits.signal?.aborted === true;
  const onChange = (change?: OwnChange) => {
    // After these changes the execution is still pending or running, so it need not be read.
    if (change && change.kind !== "ended" && change.kind !== "paused") return;
    if (change?.kind === "ended") told = change.outline;
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
      if (told) return told;
      changed = false;
      if (mustRead || over) {
        // Only the outline is read, because each change wakes every long poll of the execution, and the whole
        // execution with its output may be megabytes.
        const outline = await store.getOutline(executionId);
        if (!outline || over || isEnough(outline)) return outline;
      }
      mustRead = true;
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
