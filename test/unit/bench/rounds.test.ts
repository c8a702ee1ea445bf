import { expect, it } from "vitest";
import { interleave } from "../../../bench/rounds.ts";

it("the benchmark measures its subjects in turn, and backwards in every other round", async () => {
  const order: string[] = [];
  const subject = (name: string) => ({
    name,
    round: async () => {
      order.push(name);
      return { ms: order.length };
    },
  });
  const settle = async () => {
    order.push("·");
  };
  await interleave([subject("floor"), subject("a"), subject("b")], 3, settle);
  expect(order.join(" ")).toBe("· floor · a · b · b · a · floor · floor · a · b");
});

it("the benchmark compares a subject with the floor's same metric, or with the metric that is named", async () => {
  const subjects = [
    { name: "floor", round: async () => ({ p50: 2, p95: 4 }) },
    { name: "subject", floor: "floor", round: async () => ({ p50: 6, p95: 8 }) },
  ];
  const rounds = await interleave(subjects, 2, async () => undefined);
  const ratios = (floorMetric?: "p50") =>
    rounds.figures("row", "ms", floorMetric).map(({ subject, metric, ratio }) => [subject, metric, ratio]);
  expect(ratios()).toContainEqual(["subject", "p95", 2]);
  expect(ratios("p50")).toContainEqual(["subject", "p95", 4]);
  expect(ratios()).toContainEqual(["floor", "p50", null]);
});
