import { isBusy, type Slot } from "./slot.ts";
import { hasPlace, pausedSinceMs } from "./slot-state.ts";

/**
 * The paused workers: they have no place (they are none of the AIRLOCK_MAX_WORKERS), and are kept for their
 * paused executions alone.
 */
export function pausedSlots(slots: Iterable<Slot>): Slot[] {
  return [...slots].filter(({ state }) => !hasPlace(state));
}

/**
 * The worker that has been paused for longest, of those on which no execution has its response yet; undefined
 * when there is none. This worker is the first to be ended when too many are kept.
 */
export function longestPaused(slots: Iterable<Slot>): Slot | undefined {
  return pausedSlots(slots)
    .filter((slot) => !isBusy(slot))
    .sort((a, b) => (pausedSinceMs(a.state) ?? 0) - (pausedSinceMs(b.state) ?? 0))[0];
}

/**
 * When the worker of `longestPaused` lost its place, in milliseconds of the monotonic clock; undefined when
 * there is none.
 */
export function pausedLongestSinceMs(slots: Iterable<Slot>): number | undefined {
  const slot = longestPaused(slots);
  return slot && pausedSinceMs(slot.state);
}

/**
 * The paused worker on which an execution has waited longest since its response arrived; undefined when there
 * is none. This worker is the first to get a place again.
 */
export function longestAnswered(slots: Iterable<Slot>): Slot | undefined {
  return pausedSlots(slots)
    .filter(isBusy)
    .sort((a, b) => answeredAtMs(a) - answeredAtMs(b))[0];
}

/**
 * When the worker's next answered execution (its response has arrived, and it waits for the slot) asked for
 * the slot, in milliseconds; infinity when there is none.
 */
export function answeredAtMs({ resuming }: Slot): number {
  return resuming[0]?.answeredAtMs ?? Number.POSITIVE_INFINITY;
}

/**
 * The paused worker that gets the next place: first one on which an execution has its response and waits to
 * go on. Without one, any paused worker that is not retired, but only while the pool lacks workers (`lacking`
 * > 0). Undefined when there is none.
 */
export function nextPaused(slots: Iterable<Slot>, lacking: number): Slot | undefined {
  return longestAnswered(slots) ?? (lacking > 0 ? pausedSlots(slots).find(canServe) : undefined);
}

/**
 * How many further places (of the AIRLOCK_MAX_WORKERS) a pool wants. `lacking` is the number of serving
 * workers that it lacks. With `mayStart`, the pool also wants places for workers that are to be started,
 * otherwise only for paused ones.
 */
export function placesWanted(slots: Iterable<Slot>, lacking: number, mayStart: boolean): number {
  const paused = pausedSlots(slots);
  const returning = paused.filter(isBusy);
  const lackingStill = Math.max(0, lacking - returning.filter(canServe).length);
  const idle = paused.filter((slot) => canServe(slot) && !isBusy(slot)).length;
  return returning.length + (mayStart ? lackingStill : Math.min(lackingStill, idle));
}

function canServe({ state }: Slot): boolean {
  return state.kind !== "retired";
}
