import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  COOL_DOWN_MS,
  type Observation,
  ScalingPolicy,
} from "../../../services/pool-manager/pool/scaling-policy.ts";

const RANGE = { min: 1, max: 8, targetWaitMs: 500 };
const quiet = (atMs: number, replicas: number, idleWorkers = replicas): Observation => ({
  atMs,
  replicas,
  idleWorkers,
  queueDepth: 0,
  longestWaitMs: 0,
});
const busy = (atMs: number, replicas: number, queueDepth = 20, longestWaitMs = 2_000): Observation => ({
  atMs,
  replicas,
  idleWorkers: 0,
  queueDepth,
  longestWaitMs,
});

describe("a pool that scales", () => {
  it("a pool that scales grows while executions wait longer than the target, and no further than max", () => {
    const policy = new ScalingPolicy();
    let replicas = 1;
    const course: number[] = [];
    for (let atMs = 0; atMs < 20_000; atMs += 500) {
      const wanted = policy.decide(busy(atMs, replicas), RANGE);
      if (wanted !== replicas) course.push(wanted);
      replicas = wanted;
    }
    expect(course).toEqual([2, 4, 8]);
  });

  it("a pool that scales adds no more workers than executions that wait", () => {
    expect(new ScalingPolicy().decide(busy(0, 4, 1), RANGE)).toBe(5);
  });

  it("a pool that scales grows for waits that are over, too", () => {
    const policy = new ScalingPolicy();
    for (let n = 0; n < 20; n++) policy.waited(1_000, 600);
    expect(policy.decide(quiet(1_500, 2, 0), RANGE)).toBe(3);
  });

  it("a pool that scales does not grow for one slow execution in a hundred", () => {
    const policy = new ScalingPolicy();
    for (let n = 0; n < 99; n++) policy.waited(1_000, 10);
    policy.waited(1_000, 5_000);
    expect(policy.decide(quiet(1_500, 2, 0), RANGE)).toBe(2);
  });

  it("a pool that scales shrinks by the workers that were idle during the whole cool-down", () => {
    const policy = new ScalingPolicy();
    for (let atMs = 0; atMs < COOL_DOWN_MS; atMs += 1_000) {
      expect(policy.decide(quiet(atMs, 8, atMs === 5_000 ? 3 : 6), RANGE)).toBe(8);
    }
    expect(policy.decide(quiet(COOL_DOWN_MS, 8, 6), RANGE)).toBe(5);
  });

  it("a pool that scales shrinks to min and not below", () => {
    const policy = new ScalingPolicy();
    for (let atMs = 0; atMs < COOL_DOWN_MS; atMs += 1_000) policy.decide(quiet(atMs, 8), RANGE);
    expect(policy.decide(quiet(COOL_DOWN_MS, 8), RANGE)).toBe(1);
    const toNone = new ScalingPolicy();
    for (let atMs = 0; atMs < COOL_DOWN_MS; atMs += 1_000)
      toNone.decide(quiet(atMs, 2), { ...RANGE, min: 0 });
    expect(toNone.decide(quiet(COOL_DOWN_MS, 2), { ...RANGE, min: 0 })).toBe(0);
  });

  it("a pool that scales follows a range that was changed", () => {
    expect(new ScalingPolicy().decide(quiet(0, 8), { ...RANGE, max: 3 })).toBe(3);
    expect(new ScalingPolicy().decide(quiet(0, 1), { ...RANGE, min: 2 })).toBe(2);
  });

  it("a pool that scales never shrinks within a cool-down after it grew, whatever happens", () => {
    const moment = fc.record({
      afterMs: fc.integer({ min: 100, max: 5_000 }),
      queueDepth: fc.integer({ min: 0, max: 50 }),
      longestWaitMs: fc.integer({ min: 0, max: 10_000 }),
      idle: fc.integer({ min: 0, max: 8 }),
    });
    fc.assert(
      fc.property(fc.array(moment, { minLength: 20, maxLength: 200 }), (moments) => {
        const policy = new ScalingPolicy();
        let [atMs, replicas, grewAtMs] = [0, 1, Number.NEGATIVE_INFINITY];
        for (const { afterMs, queueDepth, longestWaitMs, idle } of moments) {
          atMs += afterMs;
          const idleWorkers = Math.min(idle, replicas);
          const wanted = policy.decide({ atMs, replicas, idleWorkers, queueDepth, longestWaitMs }, RANGE);
          expect(wanted).toBeGreaterThanOrEqual(RANGE.min);
          expect(wanted).toBeLessThanOrEqual(RANGE.max);
          if (wanted < replicas) expect(atMs - grewAtMs).toBeGreaterThanOrEqual(COOL_DOWN_MS);
          if (wanted > replicas) grewAtMs = atMs;
          replicas = wanted;
        }
      }),
      { numRuns: 300 },
    );
  });
});
