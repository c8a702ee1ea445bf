import { expect, it } from "vitest";
import type { Execution } from "#sdk/execution.ts";
import type { Witness } from "../../chaos/client.ts";
import { judge } from "../../chaos/judgement.ts";
import { seededRandom } from "../../chaos/random.ts";
import { scriptOf } from "../../chaos/scripts.ts";

const RUN = "run 0e8f4a1c-53b7-4d5e-8a11-6c1fb0a2d3e4\n";
const PRINTED = `${RUN}[TOKEN] 7\n${RUN.replace("run", "ran")}`;

const problemsOf = (stdout: string, endReason = "worker_lost") => {
  const script = scriptOf("quick", 7, seededRandom(1, 0), { marker: "[TOKEN]", callLogPort: 1 });
  const view = {
    ...{ stdout, end_reason: endReason, error: null, result: null },
    truncated: { stdout: 0, stderr: 0 },
  } as Execution;
  const witness: Witness = {
    ...{ n: 7, script, id: "id", acceptedAtMs: 0, endedAtMs: 10, view },
    body: `"result":${script.result},`,
  };
  const faults = [{ action: "kill", target: "supervisor", atMs: 5, overAtMs: 6 }] as const;
  return judge(witness, faults, { worker_lost: ["kill supervisor"] });
};

it("the judgement of chaos tests accepts any beginning of a lost execution's output", () => {
  const beginnings = Array.from(PRINTED, (_, length) => PRINTED.slice(0, length));
  expect(beginnings.flatMap((stdout) => problemsOf(stdout))).toEqual([]);
});

it.each([
  ["the first line is another", "ran 0e8f"],
  ["the number is none", "run 0e8f4a1z"],
  ["the first line is missing", PRINTED.slice(RUN.length)],
  ["the first line is cut and more follows", `${RUN.slice(0, -5)}\n[TOKEN] 7\n`],
  ["a letter is missing later", PRINTED.replace(" 7", "7")],
  ["the last line is another run's", PRINTED.replace("ran 0", "ran 1")],
  ["there is more than it prints", `${PRINTED}x`],
])("the judgement of chaos tests finds fault with a lost execution when %s", (_, stdout) => {
  expect(problemsOf(stdout)).toEqual([expect.stringContaining("its output is none of its own")]);
});

it("the judgement of chaos tests finds fault with a completed execution whose first line is cut", () => {
  expect(problemsOf(PRINTED, "completed")).toEqual([]);
  expect(problemsOf(RUN.slice(0, 20), "completed").length).toBeGreaterThan(0);
});
