import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";

const TWO_QUESTIONS = `
first = llm.complete("What is the region?")
second = llm.complete(f"Summarise {first}", model="small")
print("done")
set_result([first, second])
`;

let airlock: TestAirlock;
let rest: RestClient;

beforeAll(async () => {
  airlock = await startAirlock({
    projects: { demo: "replicas: 2\n", hasty: "limits: {llm_timeout: 0.3}\n" },
  });
  rest = restClient(airlock.url);
});
afterAll(async () => {
  await airlock.remove();
});

describe("llm.complete", () => {
  it("a script pauses for each llm.complete in order", async () => {
    const id = await rest.submit({ code: TWO_QUESTIONS });
    const first = await rest.settled(id);
    expect(first).toMatchObject({
      status: "awaiting_llm",
      end_reason: null,
      llm_request: { prompt: "What is the region?", model: "default" },
    });
    expect((await rest.respond(id, "eu-north")).execution_id).toBe(id);
    const second = await rest.settled(id);
    expect(second.llm_request).toMatchObject({ prompt: "Summarise eu-north", model: "small" });
    expect(second.llm_request?.id).not.toBe(first.llm_request?.id);
    await rest.respond(id, "üñí", second.llm_request?.id);
    expect(await rest.settled(id)).toMatchObject({
      status: "completed",
      result: ["eu-north", "üñí"],
      stdout: "done\n",
      llm_request: null,
    });
  });

  it("llm.complete takes one of eight racing answers", async () => {
    const id = await rest.submit({ code: "set_result(llm.complete('Which?'))" });
    await rest.settled(id);
    const answers = await Promise.allSettled(
      Array.from({ length: 8 }, (_, index) => rest.respond(id, `answer ${index}`)),
    );
    const refused = answers.flatMap((answer) => (answer.status === "rejected" ? [answer.reason] : []));
    const conflict = expect.objectContaining({ status: 409, code: "not_awaiting_llm" });
    expect(refused).toEqual(Array(7).fill(conflict));
    const taken = answers.findIndex(({ status }) => status === "fulfilled");
    expect((await rest.settled(id)).result).toBe(`answer ${taken}`);
  });

  it("llm.complete refuses an answer to another llm request, and keeps the open one", async () => {
    const id = await rest.submit({ code: "set_result(llm.complete('Which?'))" });
    await rest.settled(id);
    const wrong = rest.respond(id, "x", "llm_99");
    await expect(wrong).rejects.toMatchObject({ status: 409, code: "llm_request_mismatch" });
    await rest.respond(id, "y");
    expect((await rest.settled(id)).result).toBe("y");
  });

  it("a script that pauses shows the output that it printed before the llm request", async () => {
    const id = await rest.submit({ code: "print('before'); llm.complete('Go on?')" });
    expect(await rest.settled(id)).toMatchObject({ status: "awaiting_llm", stdout: "before\n" });
    await rest.cancel(id);
  });

  it("an execution ends as llm_timeout when no answer comes", async () => {
    const id = await rest.submit({ project: "hasty", code: "llm.complete('Anybody?')" });
    const end = async () => (await rest.get(id, 1)).status;
    await expect.poll(end, { timeout: 10_000 }).toBe("timeout");
    expect(await rest.get(id)).toMatchObject({ end_reason: "llm_timeout", llm_request: null, result: null });
    await expect(rest.respond(id, "late")).rejects.toMatchObject({ status: 409 });
  });

  it("a pause of a script does not count towards the timeout", async () => {
    const id = await rest.submit({ code: "llm.complete('Wait'); set_result(1)", timeout: 4 });
    await rest.settled(id);
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    await rest.respond(id, "go");
    const execution = await rest.settled(id);
    expect(execution).toMatchObject({ status: "completed", result: 1 });
    expect(execution.execution_time_ms).toBeLessThan(4_000);
  });

  it("a script that waits for llm.complete can be cancelled", async () => {
    const id = await rest.submit({ code: "llm.complete('Wait')" });
    await rest.settled(id);
    expect(await rest.cancel(id)).toMatchObject({ status: "error", end_reason: "cancelled" });
  });
});

describe("paused scripts", () => {
  it("paused scripts hold no worker: 50 wait on 2 workers while others run at full speed", async () => {
    const plain = async () => {
      const start = performance.now();
      expect(await rest.run({ code: "set_result(sum(range(1000)))" })).toMatchObject({ status: "completed" });
      return performance.now() - start;
    };
    const median = async () => {
      const times: number[] = [];
      for (let i = 0; i < 15; i++) times.push(await plain());
      return times.sort((a, b) => a - b)[7] as number;
    };
    await plain();
    const before = await median();
    const paused = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        rest.submit({ code: `set_result([${index}, llm.complete("q${index}")])` }),
      ),
    );
    for (const id of paused) expect((await rest.settled(id)).status).toBe("awaiting_llm");
    expect(await rest.project("demo")).toMatchObject({ paused: 50, running: 0 });
    const during = await median();
    await Promise.all(paused.map((id, index) => rest.respond(id, `a${index}`)));
    const results = await Promise.all(paused.map((id) => rest.settled(id)));
    expect(results.map((execution) => execution.result)).toEqual(
      paused.map((_, index) => [index, `a${index}`]),
    );
    await expect.poll(async () => (await rest.project("demo")).paused).toBe(0);
    // A worker held by a paused script would mean no answer at all; the factor leaves room for a noisy machine.
    expect(during).toBeLessThan(3 * Math.max(before, await median()));
  }, 60_000);
});
