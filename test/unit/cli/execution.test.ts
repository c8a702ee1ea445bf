import { describe, expect, it } from "vitest";
import type { Execution } from "#sdk/execution.ts";
import { exitStatusOf } from "../../../cli/client/execution.ts";

describe("the exit status of ./airlock run", () => {
  it.each([
    ["exit_nonzero", "The script ended with exit status 3.", 3],
    ["exit_nonzero", "The script ended with exit status -1.", 255],
    ["exit_nonzero", "The script ended with exit status 256.", 1],
    ["exit_nonzero", "no more rows", 1],
    ["killed", "The script's process was killed by SIGTERM.", 143],
    [
      "killed",
      "The script's process was killed by SIGKILL: by itself, or by the kernel for lack of memory.",
      137,
    ],
    ["killed", "The script's process was killed by signal 40.", 1],
    ["script_error", "The script ended with exit status 3.", 1],
  ])(
    "the exit status of ./airlock run for the end reason %s (error: %s) is %i",
    (end_reason, error, exitStatus) => {
      expect(exitStatusOf({ status: "error", end_reason, error } as Execution)).toBe(exitStatus);
    },
  );

  it.each([
    ["completed", 0],
    ["error", 1],
    ["timeout", 124],
  ] as const)("the exit status of ./airlock run for the status %s is %i", (status, exitStatus) => {
    expect(exitStatusOf({ status } as Execution)).toBe(exitStatus);
  });
});
