import { describe, expect, it } from "vitest";
import { readableLogLine } from "../../../cli/terminal/log-lines.ts";

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
  it("a line of the log is one readable line without control characters", () => {
    expect(readableLogLine(LINE, ALL)).toBe(
      '2026-11-21T12:00:00.000Z WARN  router       run ended executionId=019a project=demo reason="two\\nlines\\u001b[31m"',
    );
  });

  it("a line of the log spells out characters that would control a terminal, wherever they stand", () => {
    const line = JSON.stringify({
      ...JSON.parse(LINE),
      msg: "a\u009b2J",
      project: "\u202eomed",
      reason: "\u007f",
    });
    expect(readableLogLine(line, ALL)).toBe(
      '2026-11-21T12:00:00.000Z WARN  router       a\\u{9b}2J executionId=019a project="\\u{202e}omed" reason="\\u{7f}"',
    );
  });

  it("a line of the log has an error's code and message, further lines indented below, and the stack when asked", () => {
    const err = {
      type: "TypeError",
      message: "no\nway\u009b",
      code: "ENOENT",
      stack: "TypeError: no\nway\u009b\n    at one (a.ts:1:2)\n    at two\u001b[2J (b.ts:3:4)",
    };
    const line = JSON.stringify({ ...JSON.parse(LINE), reason: undefined, err });
    const readable = [
      "2026-11-21T12:00:00.000Z WARN  router       run ended executionId=019a project=demo err.code=ENOENT err=TypeError: no",
      "    way\\u{9b}",
    ];
    expect(readableLogLine(line, ALL)?.split("\n")).toEqual(readable);
    expect(readableLogLine(line, { ...ALL, stack: true })?.split("\n")).toEqual([
      ...readable,
      "    at one (a.ts:1:2)",
      "    at two\\u{1b}[2J (b.ts:3:4)",
    ]);
  });

  it("a line of the log has the sentences of its detail as text, further ones indented, so that none looks like an event", () => {
    const detail = 'a.yaml:1: field "x" is wrong\n2026-11-21T12:00:00.000Z WARN forged';
    const line = JSON.stringify({ ...JSON.parse(LINE), reason: undefined, detail });
    expect(readableLogLine(line, ALL)?.split("\n")).toEqual([
      '2026-11-21T12:00:00.000Z WARN  router       run ended executionId=019a project=demo detail=a.yaml:1: field "x" is wrong',
      "    2026-11-21T12:00:00.000Z WARN forged",
    ]);
  });

  it("a line of the log shows a reason once that stands in both the event and its error", () => {
    const err = { type: "AirlockError", message: "no disk", stack: "AirlockError: no disk" };
    const line = JSON.stringify({ ...JSON.parse(LINE), reason: "no disk", err });
    expect(readableLogLine(line, ALL)).toMatch(/project=demo err=AirlockError: no disk$/);
  });

  it("a line of the log is left out when it is older than asked, and stays JSON when asked", () => {
    const at = Date.parse("2026-11-21T12:00:00.000Z");
    expect(readableLogLine(LINE, { ...ALL, sinceMs: at + 1 })).toBeUndefined();
    expect(readableLogLine(LINE, { ...ALL, sinceMs: at, json: true })).toBe(LINE);
  });

  it("a line of the log is left out by level, execution or project", () => {
    expect(readableLogLine(LINE, { ...ALL, minLevel: 50 })).toBeUndefined();
    expect(readableLogLine(LINE, { ...ALL, executionId: "other" })).toBeUndefined();
    expect(readableLogLine(LINE, { ...ALL, project: "other" })).toBeUndefined();
    expect(readableLogLine(LINE, { minLevel: 40, executionId: "019a", project: "demo" })).toBeDefined();
  });

  it.each(["", "not JSON", "null", "[]", '{"level":"x"}'])(
    "a line that is not a line of the log (%j) is left out",
    (line) => {
      expect(readableLogLine(line, ALL)).toBeUndefined();
    },
  );
});
