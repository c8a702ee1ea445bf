import { afterEach, describe, expect, it } from "vitest";
import { type Airlock, type AirlockOptions, createAirlock } from "#sdk/airlock.ts";
import { ApiError } from "#sdk/api-error.ts";
import { createNodeTransport } from "#sdk/node-transport.ts";
import { type Answer, hangUp, json, problem, silence, startScriptedServer } from "./scripted-server.ts";

const ID = "1b4c74f6-863c-4c58-bb94-c8898baae39b";
const SUBMISSION = { project: "demo", code: "1" };
const QUICKLY = { forMs: 5_000, delayMs: 5, maxDelayMs: 20 };
const accepted = json(202, { execution_id: ID, status: "pending", poll_url: `/executions/${ID}` });
const execution = (status: string) => json(200, { execution_id: ID, status, result: null });
const awaited = { llmRequestId: "q1" };

let server: Awaited<ReturnType<typeof startScriptedServer>> | undefined;
const nodeTransport = createNodeTransport();
afterEach(() => {
  server?.close();
  nodeTransport.close();
});

async function clientOf(answers: readonly Answer[], options: Partial<AirlockOptions> = {}) {
  server = await startScriptedServer(...answers);
  return {
    airlock: createAirlock({ url: server.url, retry: QUICKLY, ...options }),
    received: server.received,
  };
}

const failure = async (call: Promise<unknown>) => {
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ApiError)) throw new Error(`no ApiError: ${String(error)}`);
  return error;
};

describe.each([
  ["fetch", {}],
  ["Node's HTTP client", { transport: nodeTransport.send }],
])("the client over %s", (_name, options) => {
  it.each<[string, Answer]>([
    ["the connection broke", hangUp],
    [
      "the answer broke off",
      (response) =>
        void response
          .writeHead(202, { "content-length": "99" })
          .write('{"execution_id":', () => response.destroy()),
    ],
    ["a service was away", problem(503, "unavailable", { "retry-after": "0" })],
    ["the request came too slowly", problem(408, "request_timeout")],
    ["a proxy found no gateway", (response) => response.writeHead(502).end("<html>")],
  ])("the client repeats a submission with the same idempotency key and body: %s", async (_what, first) => {
    const { airlock, received } = await clientOf([first, first, accepted], options);
    expect(await airlock.submit(SUBMISSION)).toMatchObject({ execution_id: ID });
    const keys = received.map(({ request }) => request.headers["idempotency-key"]);
    expect(received).toHaveLength(3);
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/);
    expect(received.map(({ body }) => JSON.parse(body))).toEqual([SUBMISSION, SUBMISSION, SUBMISSION]);
  });

  it("the client waits as long as Retry-After says", async () => {
    const { airlock, received } = await clientOf(
      [problem(429, "queue_full", { "retry-after": "1" }), accepted],
      options,
    );
    await airlock.submit(SUBMISSION);
    const [first, second] = received.map(({ atMs }) => atMs);
    expect((second ?? 0) - (first ?? 0)).toBeGreaterThan(980);
  });

  it("the client repeats any call that was refused as one too many, because it has done nothing", async () => {
    const limited = problem(429, "rate_limited", { "retry-after": "1" });
    const made = json(201, { key_id: "a", key: "alk_a", principal: "key:bot", expires_at: null });
    const { airlock, received } = await clientOf([limited, made], options);
    expect(await airlock.keys.create({ name: "bot" })).toMatchObject({ key_id: "a" });
    const [first, second] = received.map(({ atMs }) => atMs);
    expect((second ?? 0) - (first ?? 0)).toBeGreaterThan(980);
  });

  it("the client gives an answer that does not come up after its time, and reads again", async () => {
    const { airlock, received } = await clientOf([silence, execution("completed")], {
      ...options,
      attemptMs: 50,
    });
    expect((await airlock.executions.get(ID)).status).toBe("completed");
    expect(received).toHaveLength(2);
  });

  it("the client ends a call with the reason of its signal, also between two attempts", async () => {
    const { airlock, received } = await clientOf([silence, hangUp], {
      ...options,
      retry: { ...QUICKLY, delayMs: 60_000, forMs: 120_000, maxDelayMs: 60_000 },
    });
    const reason = new Error("the agent was stopped");
    for (const count of [1, 2]) {
      const abort = new AbortController();
      const call = airlock.executions.get(ID, { signal: abort.signal });
      await expect.poll(() => received.length).toBe(count);
      await new Promise((resolve) => setTimeout(resolve, 30));
      abort.abort(reason);
      await expect(call).rejects.toBe(reason);
    }
    await expect(airlock.executions.get(ID, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(received).toHaveLength(2);
  });
});

describe("what the client does not repeat", () => {
  it.each<[string, Answer, number, string]>([
    ["a refusal", problem(422, "invalid_request"), 422, "invalid_request"],
    ["a 503 that would stay", problem(503, "start_failed"), 503, "start_failed"],
    ["a fault", problem(500, "internal"), 500, "internal"],
    [
      "the error page of another server",
      (response) => response.writeHead(404).end("<html>"),
      404,
      "unexpected_answer",
    ],
    [
      "a redirect, which it does not follow either",
      (response) => response.writeHead(307, { location: "http://127.0.0.1:1/execute" }).end(),
      307,
      "unexpected_answer",
    ],
  ])("the client does not repeat %s", async (_what, answer, status, code) => {
    const { airlock, received } = await clientOf([answer]);
    expect(await failure(airlock.submit(SUBMISSION))).toMatchObject({ status, code, attempts: 1 });
    expect(received).toHaveLength(1);
  });

  it.each<[string, (airlock: Airlock) => Promise<unknown>]>([
    [
      "a submission that may not be repeated has no key",
      (airlock) => airlock.submit(SUBMISSION, { retry: "never" }),
    ],
    ["a response without its llm request", (airlock) => airlock.executions.respond(ID, "blue")],
    ["a change of a project", (airlock) => airlock.projects.up("demo")],
  ])("the client sends a request once that could take effect twice: %s", async (_what, call) => {
    const { airlock, received } = await clientOf([hangUp, accepted]);
    expect(await failure(call(airlock))).toMatchObject({
      code: "unreachable",
      status: undefined,
      attempts: 1,
    });
    expect(received.map(({ request }) => request.headers["idempotency-key"])).toEqual([undefined]);
  });

  it("the client repeats a submission that has a key of its caller", async () => {
    const { airlock, received } = await clientOf([hangUp, accepted]);
    await airlock.submit(SUBMISSION, { idempotencyKey: "mine" });
    expect(received.map(({ request }) => request.headers["idempotency-key"])).toEqual(["mine", "mine"]);
  });
});

describe("the end of repetitions", () => {
  it("the client stops when the time of its policy is over, and tells what failed each time", async () => {
    const told: string[] = [];
    const retry = {
      forMs: 100,
      delayMs: 30,
      maxDelayMs: 30,
      onRetry: ({ code }: ApiError) => told.push(code),
    };
    const { airlock, received } = await clientOf([hangUp], { retry });
    const error = await failure(airlock.executions.get(ID));
    expect(error).toMatchObject({ code: "unreachable", attempts: received.length });
    expect(told).toEqual(Array(received.length - 1).fill("unreachable"));
    expect(received.length).toBeGreaterThan(2);
    expect(received.length).toBeLessThan(7);
  });

  it("the client does not wait for a Retry-After that its policy or the time of the call do not allow", async () => {
    const { airlock, received } = await clientOf([problem(429, "queue_full", { "retry-after": "60" })]);
    expect(await failure(airlock.submit(SUBMISSION))).toMatchObject({
      code: "queue_full",
      retryAfterSeconds: 60,
    });
    const patient = { ...QUICKLY, forMs: 100_000 };
    const limited = airlock.submit(SUBMISSION, { retry: patient, timeoutMs: 1_000 });
    expect(await failure(limited)).toMatchObject({ code: "queue_full" });
    expect(received).toHaveLength(2);
  });

  it("a call ends at its timeout, whatever its attempts may take", async () => {
    const { airlock } = await clientOf([silence]);
    const error = await failure(airlock.executions.get(ID, { timeoutMs: 100 }));
    expect(error).toMatchObject({ code: "timeout", status: undefined });
    expect(error.message).toMatch(/^Airlock at http:\S+ did not answer within 0\.1 seconds\.$/);
  });
});

describe("a change whose answer was lost", () => {
  it("a response that was taken at the first attempt is no conflict at the second", async () => {
    const conflict = problem(409, "not_awaiting_llm");
    const { airlock, received } = await clientOf([hangUp, conflict, execution("running")]);
    expect((await airlock.executions.respond(ID, "blue", awaited)).status).toBe("running");
    expect(received.map(({ request }) => request.method)).toEqual(["POST", "POST", "GET"]);
    expect(JSON.parse(received[1]?.body ?? "")).toEqual({ response: "blue", llm_request_id: "q1" });
  });

  it("an execution that was cancelled at the first attempt is no conflict at the second", async () => {
    const cancelled = json(200, { execution_id: ID, status: "error", result: null, end_reason: "cancelled" });
    const { airlock } = await clientOf([hangUp, problem(409, "already_ended"), cancelled]);
    expect((await airlock.executions.cancel(ID)).end_reason).toBe("cancelled");
  });

  it("an execution that ended by itself was not cancelled, although the first attempt was lost", async () => {
    const completed = json(200, {
      execution_id: ID,
      status: "completed",
      result: "1",
      end_reason: "completed",
    });
    const { airlock } = await clientOf([hangUp, problem(409, "already_ended"), completed]);
    expect(await failure(airlock.executions.cancel(ID))).toMatchObject({
      status: 409,
      code: "already_ended",
    });
  });

  it("a conflict at the first attempt is one", async () => {
    const { airlock } = await clientOf([problem(409, "not_awaiting_llm")]);
    const responded = airlock.executions.respond(ID, "blue", awaited);
    expect(await failure(responded)).toMatchObject({ status: 409, code: "not_awaiting_llm" });
    expect(await failure(airlock.executions.cancel(ID))).toMatchObject({ status: 409 });
  });
});

describe("a wait", () => {
  it("a wait polls until the execution has ended, and through a gateway that goes away", async () => {
    const { airlock, received } = await clientOf([
      execution("pending"),
      hangUp,
      execution("running"),
      execution("completed"),
    ]);
    expect((await airlock.executions.wait(ID)).status).toBe("completed");
    expect(received.map(({ request }) => request.url)).toEqual(Array(4).fill(`/executions/${ID}?wait=30`));
  });

  it("a wait ends at its timeout with the status of the execution", async () => {
    const { airlock } = await clientOf([execution("running")]);
    const error = await failure(airlock.executions.wait(ID, { timeoutMs: 600 }));
    expect(error.code).toBe("timeout");
    expect(error.message).toBe(`Execution ${ID} is still running after 0.6 seconds; it goes on.`);
  });
});
