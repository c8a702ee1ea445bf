import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AirlockError } from "#common/errors.ts";
import { type GrpcServer, handlersFor, startGrpcServer } from "#common/grpc/server.ts";
import { createLog } from "#common/service/log.ts";
import { EndReason, ExecutionStatus } from "#proto/execution.ts";
import {
  type CancelRequest,
  ExecutionText,
  type GetExecutionRequest,
  type ListExecutionsRequest,
  type ReadExecutionRequest,
  RouterServiceService,
  type SubmitRequest,
} from "#proto/router.ts";
import { startGateway } from "../../../gateway/main.ts";
import type { RunningGateway } from "../../../gateway/serve.ts";
import { EXECUTION_ID, execution } from "./fake-backends.ts";

const LARGE_ID = "2b4c74f6-863c-4c58-bb94-c8898baae39b";
const BROKEN_ID = "3b4c74f6-863c-4c58-bb94-c8898baae39b";
const PRINTED = "é\u{1f680}\n";
const RESULT = '{"big": 9223372036854775809, "float": 1.0, "tiny": 5e-324, "neg": -0.0}';
const log = createLog("gateway", "silent");
const ended = execution({ status: ExecutionStatus.COMPLETED, endReason: EndReason.COMPLETED });
const pieceOf = (text: ExecutionText, bytes: number[]) => ({
  part: { $case: "textPiece", value: { text, piece: Buffer.from(bytes) } },
});

describe("the gateway over a router that speaks gRPC", () => {
  const submitted: SubmitRequest[] = [];
  const reads: GetExecutionRequest[] = [];
  const pieceReads: string[] = [];
  const lists: ListExecutionsRequest[] = [];
  const logged: string[] = [];
  let directory: string;
  let router: GrpcServer;
  let gateway: RunningGateway;
  let url: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "airlock-gateway-"));
    const { unary, serverStream } = handlersFor(log);
    const services: Parameters<typeof startGrpcServer>[1] = [
      [
        RouterServiceService,
        {
          submit: unary((request: SubmitRequest) => {
            submitted.push(request);
            if (request.project !== "demo") {
              throw new AirlockError("project_not_found", "The known projects are: demo.");
            }
            return { execution: execution() };
          }),
          getExecution: unary((request: GetExecutionRequest) => {
            reads.push(request);
            const isLarge = request.executionId === LARGE_ID || request.executionId === BROKEN_ID;
            const stored = { ...ended, resultJson: RESULT, stdout: PRINTED };
            return isLarge ? { leftOutBytes: 5_000_000 } : { execution: stored, leftOutBytes: 0 };
          }),
          readExecution: serverStream(async function* ({ executionId }: ReadExecutionRequest) {
            pieceReads.push(executionId);
            yield { part: { $case: "execution", value: ended } };
            for (const byte of Buffer.from(RESULT)) yield pieceOf(ExecutionText.RESULT_JSON, [byte]);
            if (executionId === BROKEN_ID) throw new AirlockError("execution_not_found", "It was forgotten.");
            for (const byte of Buffer.from(PRINTED)) yield pieceOf(ExecutionText.STDOUT, [byte]);
          }),
          listExecutions: unary((request: ListExecutionsRequest) => {
            lists.push(request);
            return { executions: [execution()], nextCursor: "next" };
          }),
          respond: unary(() => {
            throw new AirlockError("not_awaiting_llm", "It does not wait.");
          }),
          cancel: unary(({ executionId }: CancelRequest) => {
            if (executionId === LARGE_ID) return { execution: undefined };
            throw new Error("a bug with a /private/path");
          }),
          getRedactions: unary(() => ({
            redactions: [{ secret: "TOKEN", field: "stdout", count: 2 }],
          })),
        },
      ],
    ];
    const dependencies = [
      { name: "sanitizer", ready: true, detail: "" },
      { name: "pool-manager", ready: true, detail: "" },
    ];
    router = await startGrpcServer(
      `unix:${join(directory, "router.sock")}`,
      services,
      undefined,
      async () => dependencies,
    );
    gateway = await startGateway(
      {
        host: "127.0.0.1",
        port: 0,
        routerAddress: router.address,
        poolManagerAddress: `unix:${join(directory, "nobody.sock")}`,
        authorityAddress: `unix:${join(directory, "nobody.sock")}`,
      },
      createLog("gateway", "info", { write: (line) => logged.push(line) }),
    );
    url = `http://127.0.0.1:${gateway.port}`;
  });
  afterAll(async () => {
    await gateway.drain(0);
    await router.drain(0);
    await rm(directory, { recursive: true });
  });

  const post = (path: string, body: string) =>
    fetch(`${url}${path}`, { method: "POST", headers: { "content-type": "application/json" }, body });

  it("the gateway passes memory on as its exact text, and the timeout in milliseconds", async () => {
    const memory = '{ "a" : {"n": 9007199254740993, "f": 1.0, "s": "\\u00e9\\ud83d\\ude80"} }';
    const settings = { REGION: "eu-north", constructor: "x" };
    const body = `{"memory": ${memory} , "project":"demo","code":"é","timeout":0.25,"settings":${JSON.stringify(settings)}}`;
    expect((await post("/execute", body)).status).toBe(202);
    expect(submitted.at(-1)).toEqual({
      project: "demo",
      code: "é",
      timeoutMs: 250,
      settings,
      memoryJson: memory,
    });
  });

  it("the gateway leaves out of its call to the router the fields that the request leaves out", async () => {
    await post("/execute", '{"project":"demo","code":""}');
    expect(submitted.at(-1)).toEqual({
      project: "demo",
      code: "",
      timeoutMs: undefined,
      settings: {},
      memoryJson: "",
    });
  });

  it("the gateway over a router that speaks gRPC gives the result's text to the client byte for byte", async () => {
    const text = await (await fetch(`${url}/executions/${EXECUTION_ID}?wait=1.5`)).text();
    expect(text).toContain(`"result":${RESULT},`);
    expect(JSON.parse(text).stdout).toBe(PRINTED);
    expect(reads.at(-1)).toEqual({ executionId: EXECUTION_ID, waitMs: 1_500, maxBytes: 256 * 1024 });
  });

  it("the gateway reserves memory for a large execution and fetches it in pieces, wherever they end", async () => {
    const text = await (await fetch(`${url}/executions/${LARGE_ID}?wait=1`)).text();
    expect(text).toContain(`"result":${RESULT},`);
    expect(JSON.parse(text).stdout).toBe(PRINTED);
    expect(reads.at(-1)).toEqual({ executionId: LARGE_ID, waitMs: 1_000, maxBytes: 256 * 1024 });
    expect(pieceReads).toEqual([LARGE_ID]);
  });

  it("the gateway shows nothing of a large execution whose pieces break off", async () => {
    const response = await fetch(`${url}/executions/${BROKEN_ID}`);
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ code: "execution_not_found" });
  });

  it("the gateway reads a large execution after cancelling it", async () => {
    const response = await post(`/executions/${LARGE_ID}/cancel`, "{}");
    expect(response.status).toBe(200);
    expect(await response.text()).toContain(`"result":${RESULT},`);
  });

  it("the gateway asks the router for the page that the query names", async () => {
    const response = await fetch(
      `${url}/executions?project=demo&status=awaiting_llm&limit=7&cursor=${EXECUTION_ID}`,
    );
    expect(await response.json()).toEqual({
      executions: [
        {
          execution_id: EXECUTION_ID,
          project: "demo",
          status: "pending",
          end_reason: null,
          execution_time_ms: null,
          created_at: "1970-01-01T00:00:00.000Z",
          ended_at: null,
        },
      ],
      next_cursor: "next",
    });
    expect(lists.at(-1)).toEqual({
      project: "demo",
      status: ExecutionStatus.AWAITING_LLM,
      limit: 7,
      cursor: EXECUTION_ID,
    });
    await fetch(`${url}/executions`);
    expect(lists.at(-1)).toEqual({ project: "", status: ExecutionStatus.UNSPECIFIED, limit: 50, cursor: "" });
  });

  it("the gateway shows operators what was redacted, and nothing of it to clients that poll", async () => {
    const answer = await fetch(`${url}/executions/${EXECUTION_ID.toUpperCase()}/redactions`);
    expect(await answer.json()).toEqual({
      execution_id: EXECUTION_ID,
      redactions: [{ secret: "TOKEN", field: "stdout", count: 2 }],
    });
    expect(await (await fetch(`${url}/executions/${EXECUTION_ID}`)).text()).not.toContain("TOKEN");
  });

  it("the gateway passes the router's refusals on, and nothing of its failures", async () => {
    const unknown = await post("/execute", '{"project":"x","code":""}');
    expect(unknown.status).toBe(404);
    expect(await unknown.json()).toMatchObject({
      code: "project_not_found",
      detail: "The known projects are: demo.",
    });
    expect((await post(`/executions/${EXECUTION_ID}/respond`, '{"response":"x"}')).status).toBe(409);
    const failed = await post(`/executions/${EXECUTION_ID}/cancel`, "{}");
    expect(failed.status).toBe(500);
    expect(await failed.text()).not.toContain("private");
  });

  it("the gateway answers 503 with Retry-After while a service is away; the log explains it, and /ready names the service", async () => {
    const projects = await fetch(`${url}/projects`);
    expect(projects.status).toBe(503);
    expect(projects.headers.get("retry-after")).toMatch(/^\d+$/);
    expect(await projects.text()).not.toContain(directory);
    expect(logged.map((line) => JSON.parse(line))).toContainEqual(
      expect.objectContaining({
        msg: "request refused",
        code: "unavailable",
        route: "/projects",
        detail: expect.stringContaining(`${directory}/nobody.sock`),
      }),
    );
    const ready = await fetch(`${url}/ready`);
    expect(ready.status).toBe(503);
    expect(ready.headers.get("content-type")).toMatch(/^application\/problem\+json/);
    const problem = (await ready.json()) as { detail: string };
    expect(problem).toMatchObject({
      code: "unavailable",
      services: { router: "ready", sanitizer: "ready", "pool-manager": "unavailable" },
    });
    expect(problem.detail).toMatch(/pool-manager/);
    expect(problem.detail).not.toContain(directory);
    expect((await fetch(`${url}/health`)).status).toBe(200);
  });
});
