import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { figureOf, isNoisy } from "../../../bench/figure.ts";
import { median, percentiles, quantile } from "../../../bench/statistics.ts";

const name = { row: "row", subject: "subject", metric: "p50", unit: "ms" } as const;

describe("a quantile", () => {
  it("a quantile lies between neighbours by proportion", () => {
    expect(median([4, 1, 3])).toBe(3);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(percentiles([...Array(101).keys()])).toEqual({ p50: 50, p95: 95, p99: 99 });
  });

  it("a quantile never leaves the values, and grows with its part", () => {
    const values = fc.array(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), { minLength: 1 });
    const part = fc.double({ noNaN: true, min: 0, max: 1 });
    fc.assert(
      fc.property(values, part, part, (all, one, other) => {
        const [low, high] = [quantile(all, Math.min(one, other)), quantile(all, Math.max(one, other))];
        expect(low).toBeGreaterThanOrEqual(Math.min(...all) - 1e-6);
        expect(high).toBeLessThanOrEqual(Math.max(...all) + 1e-6);
        expect(high).toBeGreaterThanOrEqual(low - 1e-6);
      }),
    );
  });
});

describe("a figure", () => {
  it("a figure compares each round with the floor of that round: what slows both down changes no ratio", () => {
    expect(figureOf(name, [10, 40, 20], [5, 20, 10])).toMatchObject({ median: 20, ratio: 2, rounds: 3 });
  });

  it("a figure has no ratio without a floor", () => {
    expect(figureOf(name, [10]).ratio).toBeNull();
  });

  it("a figure is noisy when half of its rounds lie further apart than half of their median", () => {
    expect(isNoisy(figureOf(name, [10, 10, 11, 12, 30]))).toBe(false);
    expect(isNoisy(figureOf(name, [10, 10, 20, 28, 30]))).toBe(true);
  });
});
