import { describe, expect, it } from "vitest";
import { type Bound, judge } from "../../../bench/bound.ts";
import { figureOf } from "../../../bench/figure.ts";
import { guardText, judgeRepeatedly } from "../../../bench/guard.ts";

const latency = { row: "latency", subject: "embedded", metric: "p50" } as const;
const rate = { row: "throughput", subject: "embedded", metric: "rate" } as const;
const figures = [
  figureOf({ ...latency, unit: "ms" }, [9], [3]),
  figureOf({ ...rate, unit: "per s" }, [20], [100]),
];
const bound = (limit: { atMost: number } | { atLeast: number }, of: Bound["of"] = "ratio", name = latency) =>
  ({ says: "promised", ...name, of, ...limit }) as Bound;

describe("a bound", () => {
  it.each([
    [bound({ atMost: 3 }), true],
    [bound({ atMost: 2.99 }), false],
    [bound({ atMost: 9 }, "median"), true],
    [bound({ atMost: 8 }, "median"), false],
    [{ ...bound({ atLeast: 0.2 }), ...rate }, true],
    [{ ...bound({ atLeast: 0.21 }), ...rate }, false],
  ])("the bound %j holds: %j", (each, holds) => {
    expect(judge([each], figures)).toMatchObject([{ holds }]);
  });

  it("a bound does not hold when its figure was not measured, or is no number", () => {
    const absent = { ...bound({ atMost: 3 }), subject: "of another name" };
    expect(judge([absent], figures)).toMatchObject([{ value: undefined, holds: false }]);
    const broken = figureOf({ ...latency, unit: "ms" }, [Number.NaN], [1]);
    expect(judge([bound({ atMost: 3 })], [broken])).toMatchObject([{ holds: false }]);
  });

  it("a bound is named with its row when it slipped", () => {
    const lines = guardText(judge([bound({ atMost: 3 }), bound({ atMost: 2 })], figures)).split("\n");
    expect(lines).toEqual([
      "✓ latency: embedded, p50 3.00 (ratio ≤ 3; promised)",
      "✗ slipped: latency: embedded, p50 3.00 (ratio ≤ 2; promised)",
      "",
    ]);
  });
});

describe("the guard", () => {
  const slow = figureOf({ ...latency, unit: "ms" }, [9], [3]);
  const fast = figureOf({ ...latency, unit: "ms" }, [3], [3]);
  const steady = figureOf({ ...rate, unit: "per s" }, [20], [100]);
  const bounds = [bound({ atMost: 2 }), { ...bound({ atLeast: 0.1 }), ...rate }];

  it("the guard measures only what slipped again, and lets a disturbance pass", async () => {
    const asked: unknown[] = [];
    const judgements = await judgeRepeatedly(bounds, 3, async (rows) => {
      asked.push(rows);
      return asked.length === 1 ? [slow, steady] : [fast];
    });
    expect(asked).toEqual([["latency", "throughput"], ["latency"]]);
    expect(judgements).toMatchObject([
      { value: 1, holds: true },
      { value: 0.2, holds: true },
    ]);
  });

  it("the guard gives up on what slips each time", async () => {
    let times = 0;
    const judgements = await judgeRepeatedly(bounds, 3, async () => {
      times++;
      return [slow, steady];
    });
    expect(times).toBe(3);
    expect(judgements).toMatchObject([
      { value: 3, holds: false },
      { value: 0.2, holds: true },
    ]);
  });
});
