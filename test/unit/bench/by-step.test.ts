import { expect, it } from "vitest";
import { stepsOfChild } from "../../../bench/profile/by-step.ts";

it("a run child's steps are medians over the executions of all entries of a step together, the longest first", () => {
  const execution = (ns: number): [string, number, number][] => [
    ["birth", ns, 10],
    ["layer seccomp", 3_000_000, 4],
    ["birth", ns, 1],
  ];
  expect(stepsOfChild([execution(1_000_000), execution(2_000_000), execution(9_000_000)])).toEqual([
    { what: "birth", ms: 4, faults: 11 },
    { what: "layer seccomp", ms: 3, faults: 4 },
  ]);
});
