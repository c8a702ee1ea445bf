import { describe, expect, it } from "vitest";
import {
  adopted,
  asked,
  CLOSING,
  DOWN,
  desiredOf,
  drained,
  type PoolState,
  resized,
  wanted,
} from "../../../services/pool-manager/pool/pool-state.ts";

const up = (replicas: number, keepsAdopted = false) => ({ kind: "up", replicas, keepsAdopted }) as const;
const draining = (replicas: number): PoolState => ({ kind: "draining", was: up(replicas) });

describe("how many workers a pool is to have", () => {
  it("the desired size of a pool that is down, draining to nothing, or closing follows from its state", () => {
    expect([DOWN, up(3), draining(2), CLOSING].map((state) => desiredOf(state, 5))).toEqual([0, 3, 2, 0]);
  });

  it("the desired size of a pool of adopted workers is all that live, and at least as many as its file says", () => {
    expect([0, 2, 5].map((adoptedWorkers) => desiredOf(up(2, true), adoptedWorkers))).toEqual([2, 2, 5]);
  });
});

describe("the arrows of a pool", () => {
  it.each<[string, PoolState, PoolState]>([
    ["up on a pool that is down", asked(DOWN, 2), up(2)],
    ["up on a pool that drains", asked(draining(1), 2), up(2)],
    ["up ends the keeping of adopted workers", asked(up(1, true), 2), up(2)],
    ["0 workers end the pool at once", asked(up(2), 0), DOWN],
    ["an execution brings a pool up that is down", wanted(DOWN, 3), up(3)],
    ["an execution finds a pool that is up as it is", wanted(up(1), 3), up(1)],
    ["an execution stops a drain", wanted(draining(2), 3), up(2)],
    ["an execution is not left with adopted workers alone, which may go", wanted(up(0, true), 3), up(3)],
    ["a taken-over worker brings a pool up", adopted(DOWN, 2), up(2, true)],
    ["a second taken-over worker does not lower the number", adopted(up(3, true), 2), up(3, true)],
    ["down drains a pool that is up", drained(up(2)), draining(2)],
    ["down leaves a pool that is down", drained(DOWN), DOWN],
    ["the autoscaler's number counts for a pool that is up", resized(up(1), 4), up(4)],
    ["the autoscaler's 0 drains", resized(up(1), 0), draining(1)],
    ["the autoscaler changes no pool that drains", resized(draining(1), 4), draining(1)],
    ["the autoscaler changes no pool that is down", resized(DOWN, 4), DOWN],
  ])("a pool changes its state: %s", (_what, state, expected) => expect(state).toEqual(expected));

  it("a pool that closes stays closing, whatever is asked of it", () => {
    const after = [
      asked(CLOSING, 2),
      wanted(CLOSING, 2),
      adopted(CLOSING, 2),
      drained(CLOSING),
      resized(CLOSING, 2),
    ];
    expect(new Set(after)).toEqual(new Set([CLOSING]));
  });
});
