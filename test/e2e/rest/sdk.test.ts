import { afterAll, beforeAll, expect, it } from "vitest";
import { type Airlock, createAirlock } from "#sdk/airlock.ts";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";

let service: TestAirlock;
let airlock: Airlock;
beforeAll(async () => {
  service = await startAirlock();
  airlock = createAirlock({ url: service.url });
});
afterAll(() => service.remove());

const ended = async (code: string, memoryJson?: string) => {
  const { execution_id: id } = await airlock.submit({ project: "demo", code, memoryJson });
  return await airlock.executions.wait(id);
};

it("the SDK brings every digit of a result and of the memory to the script and back", async () => {
  const numbers = '{"big":9223372036854775809,"one":1.0,"small":1e-07,"text":"\\"result\\":2"}';
  const code = `known = memory.get("numbers", "known")
set_result(known)
memory.set("numbers", "again", known)`;
  const execution = await ended(code, `{"numbers":{"known":${numbers}}}`);
  expect(execution).toMatchObject({ status: "completed", error: null });
  expect(execution.resultJson).toBe(numbers);
  expect(execution.memoryUpdatesJson).toBe(`{"numbers":{"again":${numbers}}}`);
  // The value that JavaScript makes of it.
  expect(execution.result).toMatchObject({ big: 2 ** 63, one: 1 });
});

it("the SDK starts a script once that is submitted twice with one key", async () => {
  const submission = { project: "demo", code: "set_result(1)" };
  const ids = await Promise.all(
    [1, 2].map(async () => (await airlock.submit(submission, { idempotencyKey: "one-script" })).execution_id),
  );
  expect(ids[1]).toBe(ids[0]);
  expect((await airlock.submit(submission)).execution_id).not.toBe(ids[0]);
});

it("the SDK answers the questions of a script until it has ended", async () => {
  const code = 'set_result([llm.complete("first"), llm.complete("second")])';
  const { execution_id: id } = await airlock.submit({ project: "demo", code });
  let execution = await airlock.executions.wait(id);
  while (execution.llm_request) {
    const { id: llmRequestId, prompt } = execution.llm_request;
    await airlock.executions.respond(id, `answer to the ${prompt}`, { llmRequestId });
    execution = await airlock.executions.wait(id);
  }
  expect(execution.result).toEqual(["answer to the first", "answer to the second"]);
});

it("the SDK does not take a response to an earlier question for one to the next", async () => {
  const { execution_id: id } = await airlock.submit({
    project: "demo",
    code: 'llm.complete("first"); llm.complete("second")',
  });
  const first = await airlock.executions.wait(id);
  const llmRequestId = first.llm_request?.id;
  await airlock.executions.respond(id, "an answer", { llmRequestId });
  await airlock.executions.wait(id);
  const late = airlock.executions.respond(id, "an answer", { llmRequestId });
  await expect(late).rejects.toMatchObject({ status: 409, code: "llm_request_mismatch" });
  expect((await airlock.executions.cancel(id)).end_reason).toBe("cancelled");
});
