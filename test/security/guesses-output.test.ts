import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { callUnary } from "#common/grpc/client.ts";
import { EndReason, type Execution, ExecutionStatus } from "#proto/execution.ts";
import { SanitizeChannel } from "#proto/sanitizer.ts";
import { startServices, type TestServices } from "../harness/services.ts";
import {
  type Harness,
  type SanitizeStream,
  startHarness,
} from "../integration/sanitizer/sanitizer-harness.ts";
import { Arms, guessOf, pick, randomText, randomValue } from "./cases/guesses.ts";

/*
 * A script prints guesses of values that it was not given: brokered ones, and those that a secret had before or will have
 * later. All that an agent can observe must be what follows from the printed text, whether the guess is right or not.
 */

const { STDOUT, STDERR, RESULT } = SanitizeChannel;

const drawn = (): string[] => Array.from({ length: 12 }, randomValue);

/** The secrets of a project whose scripts are given `values`. */
const secretsOf = (brokered: readonly string[], values: readonly string[]): Record<string, string | object> =>
  Object.fromEntries([
    ...brokered.map((value, index) => [
      `B${index}`,
      { value, inject: { host: "erp.example", header: "X-Key" } },
    ]),
    ...values.map((value, index) => [`G${index}`, value]),
  ]);

describe("the sanitizer", () => {
  const TRIALS = 10_000;
  let harness: Harness;

  beforeAll(async () => {
    harness = await startHarness();
  });
  afterAll(() => harness.stop());

  /** All that is to be seen of a text whose writer pauses after it, and then ends or is cut off. */
  async function observe(stream: SanitizeStream, text: string, cut: boolean) {
    const send = (channel: SanitizeChannel, data: string, end: boolean, isCut = false) =>
      stream.send({
        message: { $case: "chunk", value: { channel, data: Buffer.from(data), end, cut: isCut } },
      });
    const read = async (until: SanitizeChannel) => {
      const parts: string[] = [];
      for (;;) {
        const response = await stream.next();
        if (!response) throw new Error("the stream ended");
        if (response.data.length > 0 && response.channel !== STDERR)
          parts.push(Buffer.from(response.data).toString());
        if (response.channel === until && response.end) return { parts, response };
      }
    };
    await send(STDOUT, text, false);
    // Channels are served in turn: whatever leaves of the text before more of it comes, has left when this one ends.
    await send(STDERR, "", true);
    const atPause = (await read(STDERR)).parts;
    await send(STDOUT, "", true, cut);
    const { parts: atEnd, response } = await read(STDOUT);
    await send(RESULT, JSON.stringify({ [text]: [text] }), true);
    const result = await read(RESULT);
    return {
      atPause,
      atEnd,
      dropped: response.droppedBytes,
      redactions: [...response.redactions, ...result.response.redactions],
      result: result.parts.join(""),
    };
  }

  it("the sanitizer shows and counts the same for right and wrong guesses of a secret that the run was not given", async () => {
    const [brokered, before, later] = [drawn(), drawn(), drawn()];
    await harness.project("demo", secretsOf(brokered, before));
    const [value = ""] = before;
    // A value that the run has is found: the observer sees what there is to see.
    const early = await harness.open("demo");
    expect(await observe(early, `zz ${value.slice(0, -1)}`, false)).toMatchObject({ atPause: ["zz "] });
    early.cancel();
    await harness.project("demo", secretsOf(brokered, []));
    const { version } = await harness.resolve("demo");
    const stream = await harness.open("demo", version);
    await harness.project("demo", secretsOf(brokered, later));
    await harness.resolve("demo");
    const arms = new Arms();
    for (let trial = 0; trial < TRIALS * 2; trial++) {
      const guess = guessOf([...brokered, ...before, ...later], trial % 2 === 0);
      const text = `${randomText(3)} ${guess.text}`;
      expect(await observe(stream, text, pick([true, false])), JSON.stringify(guess)).toEqual({
        atPause: [text],
        atEnd: [],
        dropped: 0,
        redactions: [],
        result: JSON.stringify({ [text]: [text] }),
      });
      arms.add(guess);
    }
    stream.cancel();
    expect(arms.report("sanitizer")).toBeLessThan(0.0004);
  }, 120_000);
});

const LIMIT = Math.round(0.001 * 2 ** 20);
const BRIEF = "replicas: 1\nlimits: {max_output_mb: 0.001}\n";
/** Longer than a worker's values count as fresh. */
const FRESH_MS = 1_200;

describe("an execution", () => {
  const brokered = drawn();
  const before = drawn();
  let services: TestServices;

  beforeAll(async () => {
    const [early, now] = [secretsOf(brokered, before), secretsOf(brokered, [])].map(asYaml);
    services = await startServices({ demo: `replicas: 1\n${early}`, brief: `${BRIEF}${early}` });
    for (const project of ["demo", "brief"]) await ended(await services.submit({ project, code: "pass" }));
    await rewrite("demo", `replicas: 1\n${now}`);
    await rewrite("brief", `${BRIEF}${now}`);
  }, 60_000);
  afterAll(async () => {
    endings.report("endings");
    await services.close();
  });

  const asYaml = (secrets: object) => `secrets: ${JSON.stringify(secrets)}\n`;

  /** Changes a project's file, and waits until runs that start from now on have its values. */
  async function rewrite(project: string, text: string): Promise<void> {
    await writeFile(join(services.directory, "projects", `${project}.yaml`), `name: ${project}\n${text}`);
    await sleep(FRESH_MS);
  }

  const endings = new Arms();

  async function ended(id: string): Promise<Execution> {
    for (;;) {
      const execution = await services.get(id, 10_000);
      if (execution.endReason !== EndReason.UNSPECIFIED) return execution;
    }
  }

  const redactionsOf = async (executionId: string) => {
    const limits = { timeoutMs: 5_000 };
    const { router } = services;
    return (await callUnary(router, router.getRedactions, { executionId }, "router", limits)).redactions;
  };

  it("an execution shows the same at every pause, and is told of no redaction", async () => {
    const id = await services.submit({
      project: "demo",
      code: `import sys
assert settings.get("G0") is None
text = llm.complete("?")
while text:
    for stream in (sys.stdout, sys.stderr):
        stream.write(text)
        stream.flush()
    text = llm.complete(text)
set_result("done")`,
    });
    const { router } = services;
    const asked = async (not: string): Promise<Execution> => {
      for (;;) {
        const execution = await services.get(id, 2_000);
        if (execution.endReason !== EndReason.UNSPECIFIED) return execution;
        const isNew = execution.llmRequest !== undefined && execution.llmRequest.id !== not;
        if (execution.status === ExecutionStatus.AWAITING_LLM && isNew) return execution;
      }
    };
    const arms = new Arms();
    let question = await asked("");
    // This run does not have the secrets that its project gets from now on.
    const later = drawn();
    await rewrite("demo", `replicas: 1\n${asYaml(secretsOf(brokered, later))}`);
    await ended(await services.submit({ project: "demo", code: 'assert settings.get("G0")' }));
    let said = "";
    for (let trial = 0; trial < 800; trial++) {
      const guess = guessOf([...brokered, ...before, ...later], trial % 2 === 0);
      const text = `${randomText(3)} ${guess.text}`;
      said += text;
      const answer = { executionId: id, llmRequestId: question.llmRequest?.id, response: text };
      await callUnary(router, router.respond, answer, "router", { timeoutMs: 5_000 });
      question = await asked(question.llmRequest?.id ?? "");
      expect(question, JSON.stringify(guess)).toMatchObject({
        ...{ stdout: said, stderr: said, llmRequest: { prompt: text } },
      });
      arms.add(guess);
    }
    const last = { executionId: id, llmRequestId: question.llmRequest?.id, response: "" };
    await callUnary(router, router.respond, last, "router", { timeoutMs: 5_000 });
    expect(await ended(id)).toMatchObject({
      endReason: EndReason.COMPLETED,
      ...{ stdout: said, stderr: said, truncated: { stdoutBytes: 0, stderrBytes: 0 } },
    });
    expect(await redactionsOf(id)).toEqual([]);
    expect(arms.report("pauses")).toBeLessThan(0.01);
    await rewrite("demo", `replicas: 1\n${asYaml(secretsOf(brokered, []))}`);
  }, 120_000);

  const WAYS: Record<string, (text: string) => { project: string; code: string; ends: Partial<Execution> }> =
    {
      "kills itself after it": (text) => ({
        project: "demo",
        code: `import os, sys
sys.stdout.write(${JSON.stringify(text)})
sys.stdout.flush()
os.kill(os.getpid(), 9)`,
        ends: { stdout: text, truncated: { stdoutBytes: 0, stderrBytes: 0 } },
      }),
      "prints on beyond its limit": (text) => ({
        project: "brief",
        code: `import sys
sys.stdout.write(${JSON.stringify("x".repeat(LIMIT - text.length) + text)} + "more")`,
        ends: {
          stdout: "x".repeat(LIMIT - text.length) + text,
          truncated: { stdoutBytes: 4, stderrBytes: 0 },
        },
      }),
      "raises it": (text) => ({
        project: "demo",
        code: `raise SystemExit(${JSON.stringify(text)})`,
        ends: { error: expect.stringContaining(text) },
      }),
      "gives it as a result and as memory": (text) => ({
        project: "demo",
        code: `text = ${JSON.stringify(text)}
memory.set("c", text, text)
set_result([text])`,
        ends: {
          resultJson: JSON.stringify([text]),
          memoryUpdatesJson: JSON.stringify({ c: { [text]: text } }),
        },
      }),
    };

  it.each(Object.keys(WAYS))(
    "an execution that %s ends the same for right and wrong guesses",
    async (way) => {
      // A worker whose run was killed is replaced, which takes its time.
      const count = way.startsWith("kills") ? 16 : 100;
      const trials = Array.from({ length: count }, (_, trial) => {
        const guess = guessOf([...brokered, ...before], trial % 2 === 0);
        return { guess, ...(WAYS[way] as (typeof WAYS)[string])(`zz ${guess.text}`) };
      });
      const ids = await Promise.all(trials.map(({ project, code }) => services.submit({ project, code })));
      const reasons = new Set<EndReason>();
      for (const [index, { guess, ends }] of trials.entries()) {
        const execution = await ended(ids[index] as string);
        expect(execution, JSON.stringify(guess)).toMatchObject(ends);
        expect(await redactionsOf(ids[index] as string)).toEqual([]);
        reasons.add(execution.endReason);
        endings.add(guess);
      }
      expect(reasons.size).toBe(1);
    },
    60_000,
  );
});

describe("the secrets service", () => {
  it("the secrets service gives the sanitizer no value that the runs of that version were not given", async () => {
    const harness = await startHarness();
    try {
      const brokered = drawn();
      await harness.project("demo", secretsOf(brokered, drawn()));
      const first = await harness.resolve("demo");
      await harness.project("demo", secretsOf(brokered, drawn()));
      const second = await harness.resolve("demo");
      for (const given of [first, second]) {
        expect(await harness.needles("demo", given.version)).toEqual(given);
        const text = JSON.stringify(given);
        const told = brokered.filter((value) => text.includes(JSON.stringify(value).slice(1, -1)));
        expect(told).toEqual([]);
      }
    } finally {
      await harness.stop();
    }
  });
});
