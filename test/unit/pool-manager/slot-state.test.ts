import { describe, expect, it } from "vitest";
import {
  finished,
  givenUp,
  hasPlace,
  needed,
  paused,
  pausedSinceMs,
  placed,
  retired,
  SERVING,
  type SlotState,
} from "../../../services/pool-manager/pool/slot-state.ts";

const FINISHING: SlotState = { kind: "finishing" };
const GIVING_UP: SlotState = { kind: "giving_up" };
const PAUSED: SlotState = { kind: "paused", sinceMs: 5 };
const RETIRED: SlotState = { kind: "retired", pausedSinceMs: undefined };
const RETIRED_PAUSED: SlotState = { kind: "retired", pausedSinceMs: 5 };

// What becomes of each state, in this order: serving, finishing, giving up, paused, retired, retired without a place.
const ALL = [SERVING, FINISHING, GIVING_UP, PAUSED, RETIRED, RETIRED_PAUSED];

describe("the arrows of a worker in its pool", () => {
  it.each<[string, (state: SlotState) => SlotState, SlotState[]]>([
    [
      "a worker that is not needed finishes",
      finished,
      [FINISHING, FINISHING, GIVING_UP, PAUSED, RETIRED, RETIRED_PAUSED],
    ],
    [
      "a worker that finishes serves again when it is needed",
      needed,
      [SERVING, SERVING, GIVING_UP, PAUSED, RETIRED, RETIRED_PAUSED],
    ],
    [
      "a worker gives up the place that it has, and a retired worker is replaced all the same",
      givenUp,
      [GIVING_UP, GIVING_UP, GIVING_UP, PAUSED, RETIRED, RETIRED_PAUSED],
    ],
    [
      "a worker loses its place once",
      (state) => paused(state, 9),
      [
        ...[SERVING, FINISHING, GIVING_UP].map(() => ({ kind: "paused", sinceMs: 9 }) as const),
        PAUSED,
        { kind: "retired", pausedSinceMs: 9 },
        RETIRED_PAUSED,
      ],
    ],
    [
      "a paused worker with a place serves when it is needed",
      (state) => placed(state, true),
      [SERVING, FINISHING, GIVING_UP, SERVING, RETIRED, RETIRED],
    ],
    [
      "a paused worker with a place finishes its executions when it is not needed",
      (state) => placed(state, false),
      [SERVING, FINISHING, GIVING_UP, FINISHING, RETIRED, RETIRED],
    ],
    [
      "a retired worker stays retired, and keeps what it has of a place",
      retired,
      [RETIRED, RETIRED, RETIRED, RETIRED_PAUSED, RETIRED, RETIRED_PAUSED],
    ],
  ])("%s", (_what, arrow, expected) => expect(ALL.map(arrow)).toEqual(expected));

  it("a worker has a place until it is paused", () => {
    expect(ALL.map(hasPlace)).toEqual([true, true, true, false, true, false]);
    expect(ALL.map(pausedSinceMs)).toEqual([undefined, undefined, undefined, 5, undefined, 5]);
  });
});
