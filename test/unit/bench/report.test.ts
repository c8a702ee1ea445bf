import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { judge } from "../../../bench/bound.ts";
import { figureOf } from "../../../bench/figure.ts";
import { PLANS } from "../../../bench/plan.ts";
import { resultMarkdown } from "../../../bench/report/markdown.ts";
import { plotsOf } from "../../../bench/report/plots.ts";
import { withPart } from "../../../bench/report/readme.ts";
import { textOf } from "../../../bench/report/text.ts";
import type { Result } from "../../../bench/result.ts";
import { targetsOf } from "../../../bench/targets.ts";

const row = { row: "latency", metric: "p50", unit: "ms" } as const;
const figures = [
  figureOf({ ...row, subject: "fork <&>" }, [2, 2, 2]),
  figureOf({ ...row, subject: "embedded, pandas: REST, wait" }, [4, 8, 16], [2, 2, 2]),
];
const result: Result = {
  plan: "full",
  machine: { date: "2026-11-21", processor: "2 × of some kind" },
  seconds: 61,
  titles: { latency: "how long it takes", burst: "was left out" },
  figures,
  targets: judge(
    targetsOf(PLANS.full).filter((target) => target.row === "latency"),
    figures,
  ),
  notes: ["Docker is not measured: there is no engine"],
};

describe("the table", () => {
  const text = textOf(result);

  it("the benchmark's table shows median, spread and ratio, and says which spread is too large", () => {
    expect(text).toMatch(
      /^embedded, pandas: REST, wait\s+p50\s+8\.00 ms\s+6\.00–12\.0\s+4\.00\s+spread too large$/m,
    );
    expect(text).toContain("1 of 2 figures differ by more than half of their median");
  });

  it("the benchmark's table says of each target whether it holds, and why a figure was not measured", () => {
    expect(text).toMatch(/pandas imported: p50 at most 3 × fork\s+≤ 3\s+4\.00\s+misses/);
    expect(text).toMatch(/at most 1\/40 of docker run\s+≥ 40\s+not measured/);
    expect(text).toContain("Docker is not measured: there is no engine\n");
    expect(text).not.toContain("was left out");
  });
});

describe("the plots", () => {
  it("the benchmark's plots are one per row, as well-formed XML", () => {
    const plots = plotsOf(result);
    expect(plots.map(([name]) => name)).toEqual(["latency.svg"]);
    const [, svg] = plots[0] as [string, string];
    expect(svg).toContain("fork &lt;&amp;&gt; p50");
    expect(svg.match(/<text/g)).toHaveLength(svg.match(/<\/text>/g)?.length ?? -1);
    expect(svg).not.toMatch(/NaN|Infinity/);
  });
});

describe("bench/README.md", () => {
  it("bench/README.md has a place for what is measured, and keeps the rest", async () => {
    const path = join(import.meta.dirname, "..", "..", "..", "bench", "README.md");
    const text = await readFile(path, "utf8");
    for (const part of ["measured", "profile"]) {
      const changed = withPart(text, part, resultMarkdown(result));
      expect(changed).toContain("| embedded, pandas: REST, wait | p50 | 8.00 ms | 6.00–12.0 | 4.00 |");
      expect(withPart(changed, part, "").split(`<!-- ${part} -->`)[0]).toBe(
        text.split(`<!-- ${part} -->`)[0],
      );
    }
    expect(() => withPart("no marks", "measured", "")).toThrow("no place");
  });
});
