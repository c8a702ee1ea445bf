import { expect, it } from "vitest";
import { slopePerMinute } from "../../support/trend.ts";

const minutes = Array.from({ length: 60 }, (_, n) => n / 20);
const samplesOf = (value: (atMinutes: number) => number) =>
  minutes.map((atMinutes) => ({ atMinutes, value: value(atMinutes) }));

it("a trend finds a leak as a slope, however it jitters", () => {
  expect(slopePerMinute(samplesOf((at) => 100 + 5 * at + Math.sin(at * 40) * 3))).toBeCloseTo(5, 0);
});

it("a trend finds no leak in memory that goes up and down again", () => {
  expect(Math.abs(slopePerMinute(samplesOf((at) => 100 + Math.sin(at * 40) * 10)))).toBeLessThan(1);
});

it("a trend finds no leak in a few samples that stand out", () => {
  expect(slopePerMinute(samplesOf((at) => (at > 2.7 ? 900 : 100)))).toBe(0);
});
