import { isBusy, type Slot } from "./slot.ts";

/** The workers without a place: each is kept for its paused executions alone. */
export function pausedSlots(slots: Iterable<Slot>): Slot[] {
  return [...slots].filter(({ pausedSinceMs }) => pausedSinceMs !== undefined);
}

/** The paused worker that lost its place first, of those without an answered execution. */
export function longestPaused(slots: Iterable<Slot>): Slot | undefined {
  return pausedSlots(slots)
    .filter((slot) => !isBusy(slot))
    .sort((a, b) => (a.pausedSinceMs ?? 0) - (b.pausedSinceMs ?? 0))[0];
}

/** The paused worker whose answered execution has waited longest. */
export function longestAnswered(slots: Iterable<Slot>): Slot | undefined {
  return pausedSlots(slots)
    .filter(isBusy)
    .sort((a, b) => answeredAtMs(a) - answeredAtMs(b))[0];
}

/** When the execution was answered that is the next on this worker; later than any when there is none. */
export function answeredAtMs({ resuming }: Slot): number {
  return resuming[0]?.answeredAtMs ?? Number.POSITIVE_INFINITY;
}

/** The paused worker that is the next to have a place: one with an answered execution, else one that the pool lacks. */
export function nextPaused(slots: Iterable<Slot>, lacking: number): Slot | undefined {
  return longestAnswered(slots) ?? (lacking > 0 ? pausedSlots(slots).find(canServe) : undefined);
}

/** How many places a pool wants that lacks so many serving workers. `mayStart`: others than the paused ones count, too. */
export function placesWanted(slots: Iterable<Slot>, lacking: number, mayStart: boolean): number {
  const paused = pausedSlots(slots);
  const returning = paused.filter(isBusy);
  const lackingStill = Math.max(0, lacking - returning.filter(canServe).length);
  const idle = paused.filter((slot) => canServe(slot) && !isBusy(slot)).length;
  return returning.length + (mayStart ? lackingStill : Math.min(lackingStill, idle));
}

function canServe({ isRetired }: Slot): boolean {
  return !isRetired;
}
