import { cpus } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

const LOOK_MS = 100;
const BUSY_AT_MOST = 0.1;
// On a machine that others use too it never comes.
const LOOKS_AT_MOST = 20;

/**
 * Waits until the cores have next to nothing to do: what was measured last has its spares again, and has put away what it
 * had left. Whoever is measured next would pay for that.
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

/** What all cores together have done so far. */
function coreMs(): { readonly busy: number; readonly all: number } {
  const each = cpus().map(({ times }) => times);
  const all = each.reduce((sum, times) => sum + Object.values(times).reduce((a, b) => a + b, 0), 0);
  return { busy: all - each.reduce((sum, { idle }) => sum + idle, 0), all };
}
