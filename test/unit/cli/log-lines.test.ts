import { describe, expect, it } from "vitest";
import { readableLogLine } from "../../../cli/log-lines.ts";

const ALL = { minLevel: 10, executionId: undefined, project: undefined };
const LINE = JSON.stringify({
  level: 40,
  time: "2026-11-21T12:00:00.000Z",
  service: "router",
  executionId: "019a",
  project: "demo",
  reason: "two\nlines\u001b[31m",
  msg: "run ended",
});

describe("a line of the log", () => {
  it("is one readable line without control characters", () => {
    expect(readableLogLine(LINE, ALL)).toBe(
      '2026-11-21T12:00:00.000Z WARN  router       run ended executionId=019a project=demo reason="two\\nlines\\u001b[31m"',
    );
  });

  it("is left out by level, execution or project", () => {
    expect(readableLogLine(LINE, { ...ALL, minLevel: 50 })).toBeUndefined();
    expect(readableLogLine(LINE, { ...ALL, executionId: "other" })).toBeUndefined();
    expect(readableLogLine(LINE, { ...ALL, project: "other" })).toBeUndefined();
    expect(readableLogLine(LINE, { minLevel: 40, executionId: "019a", project: "demo" })).toBeDefined();
  });

  it.each(["", "not JSON", "null", "[]", '{"level":"x"}'])("that is none (%j) is left out", (line) => {
    expect(readableLogLine(line, ALL)).toBeUndefined();
  });
});
