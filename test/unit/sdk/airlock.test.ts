import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Airlock, createAirlock } from "#sdk/airlock.ts";
import { ApiError } from "#sdk/api-error.ts";
import { GENERATED } from "../../../cli/commands/generate.ts";
import { startOver, type TestGateway } from "../gateway/fake-backends.ts";
import { json, startScriptedServer } from "./scripted-server.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");
const project = "mock-project";
const asking = { project, code: "llm.complete('Name a colour.')" };

let gateway: TestGateway;
let airlock: Airlock;
beforeAll(async () => {
  gateway = await startOver({});
  airlock = createAirlock({ url: `${gateway.url}/`, retry: "never" });
});
afterAll(() => gateway.drain(0));

describe("the client at a gateway", () => {
  it("the client submits a script and waits for its outcome", async () => {
    const { execution_id: id, poll_url: path } = await airlock.submit({ project, code: "print(1)" });
    expect(path).toBe(`/executions/${id}`);
    const execution = await airlock.executions.wait(id);
    expect(execution).toMatchObject({ execution_id: id, status: "completed", result: { echo: "print(1)" } });
    expect(execution.resultJson).toBe('{"echo":"print(1)"}');
  });

  it("the client leaves out output that it has, and responds to an llm request with a hold", async () => {
    const { execution_id: id } = await airlock.submit(asking);
    const waiting = await airlock.executions.wait(id);
    expect(waiting.status).toBe("awaiting_llm");
    const responded = await airlock.executions.respond(id, "blue", { llmRequestId: waiting.llm_request?.id });
    expect(responded.execution_id).toBe(id);
    const whole = await airlock.executions.wait(id);
    expect(whole.status).toBe("completed");
    const rest = await airlock.executions.get(id, { stdoutFrom: 2, waitSeconds: 0.5 });
    expect(rest.stdout).toBe(whole.stdout.slice(2));
  });

  it("the client cancels an execution, and a refusal has its code, status and detail", async () => {
    const { execution_id: id } = await airlock.submit(asking);
    expect(await airlock.executions.cancel(id)).toMatchObject({ status: "error", end_reason: "cancelled" });
    const error = await airlock.executions.cancel(id).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ name: "ApiError", code: "already_ended", status: 409, attempts: 1 });
    expect((error as ApiError).detail).toBe((error as ApiError).message);
    expect((error as ApiError).detail).toMatch(/ended/);
  });

  it("the client names the fields of a request that are to blame", async () => {
    const submitted = airlock.submit({ project, code: "1", timeout: -1 });
    await expect(submitted).rejects.toMatchObject({
      code: "invalid_request",
      errors: [{ field: "timeout", message: expect.stringContaining("0") }],
    });
  });

  it("the client reads lists page by page", async () => {
    const { executions, next_cursor: cursor } = await airlock.executions.list({ project, limit: 1 });
    expect(executions).toHaveLength(1);
    const second = await airlock.executions.list({ project, limit: 1, cursor: cursor ?? "" });
    expect(second.executions[0]?.execution_id).not.toBe(executions[0]?.execution_id);
  });

  it("the client reads and changes projects", async () => {
    expect((await airlock.projects.list()).map(({ name }) => name)).toEqual([project]);
    expect(await airlock.projects.up(project, { replicas: 2 })).toMatchObject({ status: "up" });
    expect((await airlock.projects.get(project)).name).toBe(project);
    expect(await airlock.projects.down(project)).toMatchObject({ name: project });
    await expect(airlock.projects.get("no such")).rejects.toMatchObject({ code: "project_not_found" });
  });
});

describe("the address", () => {
  it.each(["127.0.0.1:8000", "ftp://host", "http://user:PASSWORD@["])(
    "the client refuses the address %s without repeating it",
    (url) => {
      expect(() => createAirlock({ url })).toThrow("must be a URL such as http://127.0.0.1:8000.");
      expect(() => createAirlock({ url })).not.toThrow("PASSWORD");
    },
  );

  it("the client sends user and password of the address as HTTP Basic, and shows them in no error", async () => {
    const server = await startScriptedServer(json(200, { projects: [] }), (response) =>
      response.writeHead(401).end(),
    );
    const url = server.url.replace("//", "//us%2Fer:p%C3%A4ss%@").concat("/behind/a/proxy/");
    const client = createAirlock({ url, retry: "never" });
    expect(client.url).toBe(`${server.url}/behind/a/proxy`);
    await client.projects.list();
    const refused = client.projects.list();
    await expect(refused).rejects.toThrow(
      `The server at ${server.url}/behind/a/proxy answered with HTTP status 401, and not as Airlock does.`,
    );
    const request = server.received[0]?.request;
    expect(request?.url).toBe("/behind/a/proxy/projects");
    const [, sent = ""] = request?.headers.authorization?.split(" ") ?? [];
    expect(Buffer.from(sent, "base64").toString()).toBe("us/er:p%C3%A4ss%");
    server.close();
  });

  it("the client says which system error keeps Airlock out of reach", async () => {
    const server = await startScriptedServer();
    server.close();
    const error = await createAirlock({ url: server.url, retry: "never" })
      .projects.list()
      .catch((reason: Error) => reason);
    expect(error).toMatchObject({
      code: "unreachable",
      message: `Airlock at ${server.url} cannot be reached (ECONNREFUSED).`,
    });
  });

  it("an answer that is no JSON is not taken for one of Airlock", async () => {
    const server = await startScriptedServer((response) => response.end("<html>"));
    const listed = createAirlock({ url: server.url, retry: "never" }).projects.list();
    await expect(listed).rejects.toMatchObject({ code: "unexpected_answer" });
    server.close();
  });
});

describe("numbers of a submission", () => {
  it("memory that is given as text is sent as it is", async () => {
    const server = await startScriptedServer(
      json(202, { execution_id: "x", status: "pending", poll_url: "/x" }),
    );
    const client = createAirlock({ url: server.url });
    await client.submit({ project, code: "1", memoryJson: '{"a":{"b":9223372036854775809,"c":1.0}}' });
    await client.submit({ project, code: "1", settings: { K: '"\n' }, memory: { a: { b: 1 } } });
    expect(server.received.map(({ body }) => body)).toEqual([
      '{"project":"mock-project","code":"1","memory":{"a":{"b":9223372036854775809,"c":1.0}}}',
      '{"project":"mock-project","code":"1","settings":{"K":"\\"\\n"},"memory":{"a":{"b":1}}}',
    ]);
    await expect(client.submit({ project, code: "1", memoryJson: '{},"code":"2"' })).rejects.toThrow(
      SyntaxError,
    );
    await expect(client.submit({ project, code: "1", memoryJson: "{}", memory: {} })).rejects.toThrow(
      "either",
    );
    expect(server.received).toHaveLength(2);
    server.close();
  });
});

describe("the types of the REST API", () => {
  it("the types of the REST API are among the files that ./airlock check compares with the gateway's document", async () => {
    const path = join("sdk", "typescript", "gen", "openapi.ts");
    expect(GENERATED).toContain(path);
    const document: { components: { schemas: object } } = JSON.parse(
      await (await fetch(`${gateway.url}/openapi.json`)).text(),
    );
    const types = await readFile(join(ROOT, path), "utf8");
    for (const name of Object.keys(document.components.schemas))
      expect(types).toContain(`readonly ${name}: `);
  });
});
