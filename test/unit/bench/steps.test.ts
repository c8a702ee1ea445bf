import { expect, it } from "vitest";
import { stepsOf } from "../../../bench/profile/steps.ts";

it("the steps of an execution are the points that most executions passed, in the order of their median times", () => {
  const begins = [0, 100, 200];
  const stamps = begins.flatMap((begin): [number, string][] => [
    [begin, "client"],
    [begin + 3, "store"],
    [begin + 1 + begin / 100, "gateway"],
    [begin + 9, "store"],
  ]);
  stamps.push([50, "once only"]);
  expect(stepsOf(stamps, begins)).toEqual([
    { what: "client", atMs: 0, sinceMs: 0 },
    { what: "gateway", atMs: 2, sinceMs: 2 },
    { what: "store", atMs: 3, sinceMs: 1 },
    { what: "store (2)", atMs: 9, sinceMs: 6 },
  ]);
});
