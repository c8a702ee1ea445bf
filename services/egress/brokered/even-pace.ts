import { setTimeout as sleep } from "node:timers/promises";

/**
 * Milliseconds for each byte of a response, after which the response is passed on at the earliest. The search
 * of text with which a secret may begin takes up to a hundred times as long as that of other text. Therefore
 * a script whose words a server repeats could read from the time of a response, letter by letter, how a
 * secret begins. The fixed time hides this.
 */
const MS_PER_BYTE = 1e-3;

/**
 * Resolves when the fixed time for a search of `bytes` bytes is over, which began at `fromMs` (of
 * `performance.now()`); at once when the search took longer.
 */
export async function searchTimeOver(fromMs: number, bytes: number): Promise<void> {
  const restMs = fromMs + bytes * MS_PER_BYTE - performance.now();
  if (restMs > 0) await sleep(Math.ceil(restMs));
}
