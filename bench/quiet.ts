import { cpus } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

const LOOK_MS = 100;
const BUSY_AT_MOST = 0.1;
// The wait ends after so many looks, because a machine with other users may never be quiet.
const LOOKS_AT_MOST = 20;

/**
 * Waits until the cores are nearly idle. The previous subject has then prepared new spares and cleaned up;
 * otherwise the next subject would lose that CPU time.
 */
export async function untilQuiet(): Promise<void> {
  let before = coreMs();
  for (let look = 0; look < LOOKS_AT_MOST; look++) {
    await sleep(LOOK_MS);
    const now = coreMs();
    if (now.busy - before.busy <= BUSY_AT_MOST * (now.all - before.all)) return;
    before = now;
  }
}

/** CPU time of all cores since boot, in milliseconds. */
function coreMs(): { readonly busy: number; readonly all: number } {
  const each = cpus().map(({ times }) => times);
  const all = each.reduce((sum, times) => sum + Object.values(times).reduce((a, b) => a + b, 0), 0);
  return { busy: all - each.reduce((sum, { idle }) => sum + idle, 0), all };
}
