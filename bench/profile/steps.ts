import { median } from "../statistics.ts";
import type { Stamp } from "./stamp.ts";

export type Step = { readonly atMs: number; readonly sinceMs: number; readonly what: string };

// Share of the executions that must have a step for it to appear in the profile.
const MOST = 0.8;

/**
 * The steps that most executions have in common, ordered by their median time since the execution began. A
 * step that occurs several times in an execution gets a number. The time of an execution ends with the step
 * before the first answer to the client's last call.
 */
export function stepsOf(stamps: readonly Stamp[], begins: readonly number[]): Step[] {
  const sorted = stamps.toSorted(([a], [b]) => a - b);
  const offsets = new Map<string, number[]>();
  begins.forEach((begin, index) => {
    const end = begins[index + 1] ?? Number.POSITIVE_INFINITY;
    const seen = new Map<string, number>();
    for (const [at, what] of sorted) {
      if (at < begin || at >= end) continue;
      const count = (seen.get(what) ?? 0) + 1;
      seen.set(what, count);
      const name = count === 1 ? what : `${what} (${count})`;
      offsets.set(name, [...(offsets.get(name) ?? []), at - begin]);
    }
  });
  let before = 0;
  return [...offsets]
    .filter(([, times]) => times.length >= begins.length * MOST)
    .map(([what, times]) => ({ what, atMs: median(times) }))
    .sort((a, b) => a.atMs - b.atMs)
    .map(({ what, atMs }) => {
      const sinceMs = atMs - before;
      before = atMs;
      return { what, atMs, sinceMs };
    });
}
