import { createHash } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runAirlock, startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";
import { wheel } from "../../support/wheel.ts";

const NAME = "alatepackage";
const SECRETS_OF_A_RUN = ["the code of the script", "what it printed", "what it asks", "what was answered"];
const ASKING = `# the code of the script
print("what it printed")
set_result(llm.complete("what it asks"))
`;

let server: Server;
let handOver: () => void;
let airlock: TestAirlock;
let rest: RestClient;

const logOf = async (id: string) => {
  const { stdout } = await runAirlock(["logs", id, "--data", airlock.dataDirectory]);
  return stdout.trimEnd().split("\n");
};
const waitingOn = async (id: string) => (await rest.get(id)).waiting_on;

beforeAll(async () => {
  const content = wheel(NAME, "VALUE = 42\n");
  const handedOver = new Promise<void>((resolve) => {
    handOver = resolve;
  });
  server = createServer((_request, response) => {
    void handedOver.then(() => response.writeHead(200, { "content-type": "application/zip" }).end(content));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const hash = createHash("sha256").update(content).digest("hex");
  const url = `http://127.0.0.1:${port}/${NAME}-1.0-py3-none-any.whl#sha256=${hash}`;
  airlock = await startAirlock({
    projects: { demo: "", late: `packages: ["${NAME} @ ${url}"]\n` },
    env: { NO_PROXY: "127.0.0.1" },
  });
  rest = restClient(airlock.url);
}, 120_000);
afterAll(async () => {
  handOver();
  await airlock.remove();
  server.close();
});

describe("the log of an execution", () => {
  it("the log of an execution has a line when it is accepted, started, asks, is answered and ends, and none of its contents", async () => {
    const id = await rest.submit({ project: "demo", code: ASKING });
    const { llm_request: question } = await rest.settled(id);
    await rest.respond(id, "what was answered", question?.id);
    expect((await rest.settled(id)).status).toBe("completed");
    const lines = await logOf(id);
    const said = ["accepted", "started", "asks", "answered", "ended"].map((what) => `execution ${what}`);
    expect(lines.map((line) => /execution \w+/.exec(line)?.[0])).toEqual(said);
    for (const line of lines) expect(line).toContain("project=demo");
    expect(lines.at(-1)).toMatch(/ INFO .*endReason=completed executionTimeMs=\d+ elapsedMs=\d+/);
    for (const secret of SECRETS_OF_A_RUN) expect(lines.join("\n")).not.toContain(secret);
  });

  it("the log of an execution says how a script failed, and that one was cancelled", async () => {
    const failed = await rest.submit({ project: "demo", code: "raise ValueError('what it printed')" });
    await rest.settled(failed);
    expect((await logOf(failed)).at(-1)).toMatch(/execution ended .*endReason=script_error/);
    expect((await logOf(failed)).join()).not.toContain("ValueError");
    const cancelled = await rest.submit({ project: "demo", code: "llm.complete('x')" });
    await rest.settled(cancelled);
    await rest.cancel(cancelled);
    expect((await logOf(cancelled)).at(-1)).toMatch(/execution ended .*endReason=cancelled/);
  });
});

describe("the wait of a pending execution", () => {
  it("a pending execution waits for its place in the queue while all workers are busy", async () => {
    const busy = await rest.submit({ project: "demo", code: "import time; time.sleep(60)" });
    await expect.poll(async () => (await rest.get(busy)).status).toBe("running");
    expect(await waitingOn(busy)).toBeNull();
    const first = await rest.submit({ project: "demo", code: "pass" });
    const second = await rest.submit({ project: "demo", code: "pass" });
    await expect.poll(async () => (await waitingOn(second))?.queue_position).toBe(2);
    expect(await waitingOn(first)).toEqual({
      kind: "queue",
      queue_position: 1,
      detail: 'The one worker of project "demo" is busy; this execution is number 1 in the queue.',
    });
    await rest.cancel(busy);
    expect((await rest.settled(second)).waiting_on).toBeNull();
  });

  it("a pending execution waits for a worker while packages are installed, and GET /projects/{name} then has their versions", async () => {
    const id = await rest.submit({ project: "late", code: `import ${NAME}; set_result(${NAME}.VALUE)` });
    await expect
      .poll(async () => (await waitingOn(id))?.detail)
      .toMatch(/^No worker of project "late" is ready yet: (resolving|installing) packages\.$/);
    expect(await waitingOn(id)).toMatchObject({ kind: "worker", queue_position: 1 });
    const script = join(airlock.directory, "late.py");
    await writeFile(script, "print('at last')");
    const fromTerminal = runAirlock(["run", script, "--project", "late"], {
      env: { AIRLOCK_URL: airlock.url },
    });
    // The command line says what it waits for after two seconds.
    await sleep(6_000);
    handOver();
    const { status, stdout, stderr } = await fromTerminal;
    expect({ status, stdout }).toEqual({ status: 0, stdout: "at last\n" });
    expect(stderr).toMatch(/^\(waiting: No worker of project "late" is ready yet: .+ packages\.\)$/m);
    expect(await rest.settled(id)).toMatchObject({ status: "completed", result: 42 });
    expect((await rest.project("late")).installed_packages).toEqual([{ name: NAME, version: "1.0" }]);
  });
});

describe("a project that is held", () => {
  it("a project that is held stays down when Airlock starts again, and finishes its accepted executions", async () => {
    const asking = await rest.submit({ project: "demo", code: "set_result(llm.complete('x'))" });
    const { llm_request: question } = await rest.settled(asking);
    await rest.post("/projects/demo/down", { hold: true });
    expect((await rest.post("/execute", { project: "demo", code: "1" })).status).toBe(409);
    await rest.respond(asking, "an answer", question?.id);
    expect((await rest.settled(asking)).result).toBe("an answer");
    airlock = await airlock.restart();
    rest = restClient(airlock.url);
    expect((await rest.post("/execute", { project: "demo", code: "1" })).status).toBe(409);
    expect((await rest.post("/execute", { project: "late", code: "1" })).status).toBe(202);
    await rest.post("/projects/demo/up", {});
    expect((await rest.run({ project: "demo", code: "set_result(1)" })).result).toBe(1);
  });
});
