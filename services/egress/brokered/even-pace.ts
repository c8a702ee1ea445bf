import { setTimeout as sleep } from "node:timers/promises";

/**
 * How long the search of a byte may take, in turns with other work. Text that a secret may begin with takes up to a hundred times as long as other text: a script whose
 * words a server repeats could read from the time of a response, letter by letter, how a secret begins. So what was searched leaves when this
 * time is over, whatever stands in it.
 */
const MS_PER_BYTE = 1e-3;

/** Resolves when the time for a search of `bytes` that began at `fromMs` (of `performance.now()`) is over. */
export async function searchTimeOver(fromMs: number, bytes: number): Promise<void> {
  const restMs = fromMs + bytes * MS_PER_BYTE - performance.now();
  if (restMs > 0) await sleep(Math.ceil(restMs));
}
