import { createServer as createHttp2Server, type Http2Session } from "node:http2";
import { afterEach, describe, expect, it } from "vitest";
import { callUnary, connectTo } from "#common/grpc/client.ts";
import { EndReason, type Execution, ExecutionStatus } from "#proto/execution.ts";
import { PoolManagerServiceClient, type Project } from "#proto/pool_manager.ts";
import { startServices, type TestServices } from "../../harness/services.ts";
import { belowOf } from "../../support/process-usage.ts";

// A sanitizer that restarts is waited for.
const SLOW = 60_000;

const PRINTS_FOR_LONG =
  "import time\nfor n in range(200):\n    print('line', n, flush=True)\n    time.sleep(0.05)";

let services: TestServices;

afterEach(async () => {
  await services.close();
});

async function ended(id: string): Promise<Execution> {
  for (;;) {
    const execution = await services.get(id, 5_000);
    if (execution.endReason !== EndReason.UNSPECIFIED) return execution;
  }
}

describe("when the sanitizer cannot be reached", () => {
  it(
    "a script does not start when the sanitizer cannot be reached, and the execution says so",
    async () => {
      services = await startServices({ demo: "" });
      await services.stop("sanitizer");
      const execution = await ended(await services.submit({ code: "print('out'); set_result('result')" }));
      expect(execution).toMatchObject({
        status: ExecutionStatus.ERROR,
        endReason: EndReason.OUTPUT_WITHHELD,
        stdout: "",
        resultJson: "null",
        error: expect.stringContaining("withheld"),
        startedAtMs: undefined,
      });
      await services.start("sanitizer");
      expect(await ended(await services.submit({ code: "print('out')" }))).toMatchObject({ stdout: "out\n" });
    },
    SLOW,
  );

  it(
    "a script that runs is ended when the sanitizer cannot be reached, and only its redacted output is kept",
    async () => {
      services = await startServices({ demo: "" });
      const id = await services.submit({ code: PRINTS_FOR_LONG });
      await expect.poll(async () => (await services.get(id)).stdout, { timeout: 10_000 }).toContain("line 3");
      await services.stop("sanitizer");
      const execution = await ended(id);
      expect(execution.endReason).toBe(EndReason.OUTPUT_WITHHELD);
      expect(execution.stdout).toContain("line 3");
      expect(execution.stdout).not.toContain("line 199");
    },
    SLOW,
  );

  it(
    "a script that runs goes on when the sanitizer is back in time, and loses nothing",
    async () => {
      services = await startServices({ demo: "" });
      const id = await services.submit({ code: PRINTS_FOR_LONG });
      await expect.poll(async () => (await services.get(id)).stdout, { timeout: 10_000 }).toContain("line 3");
      await services.stop("sanitizer");
      await services.start("sanitizer");
      const { endReason, stdout } = await ended(id);
      expect(endReason).toBe(EndReason.COMPLETED);
      expect(stdout).toBe(Array.from({ length: 200 }, (_, n) => `line ${n}\n`).join(""));
    },
    SLOW,
  );
});

describe("when the sanitizer is restarted", () => {
  it("a script that runs or asks outlives a restart of the sanitizer, and no byte is lost, repeated or leaked", async () => {
    process.env.AIRLOCK_TEST_TOKEN = "token-of-a-longer-test";
    services = await startServices({ demo: 'replicas: 2\nsecrets: {TOKEN: "${env:AIRLOCK_TEST_TOKEN}"}\n' });
    const code = `import sys, time
for n in range(40):
    sys.stdout.write(f"{n} {settings.get('TOKEN')[:7]}")
    sys.stdout.flush()
    time.sleep(0.1)
    print(settings.get('TOKEN')[7:], flush=True)`;
    const id = await services.submit({ code });
    const asks = await services.submit({ code: "set_result(llm.complete(settings.get('TOKEN')))" });
    for (const line of ["3 ", "8 ", "12 "]) {
      await expect.poll(async () => (await services.get(id)).stdout).toContain(line);
      await expect.poll(async () => (await services.get(asks)).status).toBe(ExecutionStatus.AWAITING_LLM);
      await services.stop("sanitizer");
      await services.start("sanitizer");
    }
    const { router } = services;
    const answer = { executionId: asks, llmRequestId: undefined, response: "hello" };
    await callUnary(router, router.respond, answer, "router", { timeoutMs: 5_000 });
    const { endReason, stdout } = await ended(id);
    expect(endReason).toBe(EndReason.COMPLETED);
    expect(stdout).toBe(Array.from({ length: 40 }, (_, line) => `${line} [REDACTED...test]\n`).join(""));
    expect(await ended(asks)).toMatchObject({ endReason: EndReason.COMPLETED, resultJson: '"hello"' });
  }, 60_000);
});

describe("when the sanitizer is restarted while an answered script waits for its slot", () => {
  it("an answered script that waits for its slot goes on with its answer, even if the sanitizer is restarted meanwhile", async () => {
    services = await startServices({ demo: "replicas: 1\n" });
    const asks = await services.submit({ code: "set_result(llm.complete('?'))" });
    await expect.poll(async () => (await services.get(asks)).status).toBe(ExecutionStatus.AWAITING_LLM);
    const runs = await services.submit({ code: PRINTS_FOR_LONG.replace("200", "100") });
    await expect.poll(async () => (await services.get(runs)).stdout).toContain("line 3");
    const { router } = services;
    const answer = { executionId: asks, llmRequestId: undefined, response: "hello" };
    await callUnary(router, router.respond, answer, "router", { timeoutMs: 5_000 });
    await expect.poll(async () => (await services.get(asks)).status).toBe(ExecutionStatus.RUNNING);
    await services.stop("sanitizer");
    await services.start("sanitizer");
    expect(await ended(asks)).toMatchObject({ endReason: EndReason.COMPLETED, resultJson: '"hello"' });
    expect(await ended(runs)).toMatchObject({ endReason: EndReason.COMPLETED });
  }, 60_000);
});

describe("when the secrets service cannot be reached", () => {
  it("a pending execution waits for the secrets service, because no worker starts without its values", async () => {
    process.env.AIRLOCK_TEST_TOKEN = "token-of-a-longer-test";
    services = await startServices({ demo: 'secrets: {TOKEN: "${env:AIRLOCK_TEST_TOKEN}"}\n' });
    await services.stop("secrets");
    const id = await services.submit({ code: "print(settings.get('TOKEN'))" });
    expect((await services.get(id, 1_500)).status).toBe(ExecutionStatus.PENDING);
    await services.start("secrets");
    expect(await ended(id)).toMatchObject({ endReason: EndReason.COMPLETED, stdout: "[REDACTED...test]\n" });
  });
});

describe("when the secrets service goes away in the middle of a run", () => {
  it("a run goes on without the secrets service, because the sanitizer has the values that the run was given", async () => {
    process.env.AIRLOCK_TEST_TOKEN = "token-of-a-longer-test";
    services = await startServices({ demo: 'secrets: {TOKEN: "${env:AIRLOCK_TEST_TOKEN}"}\n' });
    const id = await services.submit({
      code: "import time\nfor n in range(30):\n    print(n, settings.get('TOKEN'), flush=True)\n    time.sleep(0.1)",
    });
    await expect.poll(async () => (await services.get(id)).stdout, { timeout: 10_000 }).toContain("3 ");
    await services.stop("secrets");
    const execution = await ended(id);
    expect(execution.endReason).toBe(EndReason.COMPLETED);
    expect(execution.stdout).toBe(
      Array.from({ length: 30 }, (_, line) => `${line} [REDACTED...test]\n`).join(""),
    );
  }, 30_000);

  it("a run outlives a restart of the secrets service", async () => {
    process.env.AIRLOCK_TEST_TOKEN = "token-of-a-longer-test";
    services = await startServices({ demo: 'secrets: {TOKEN: "${env:AIRLOCK_TEST_TOKEN}"}\n' });
    const id = await services.submit({
      code: "import time\nfor n in range(25):\n    print(n, settings.get('TOKEN'), flush=True)\n    time.sleep(0.1)",
    });
    await expect.poll(async () => (await services.get(id)).stdout, { timeout: 10_000 }).toContain("3 ");
    await services.stop("secrets");
    await services.start("secrets");
    const execution = await ended(id);
    expect(execution.endReason).toBe(EndReason.COMPLETED);
    expect(execution.stdout).toBe(
      Array.from({ length: 25 }, (_, line) => `${line} [REDACTED...test]\n`).join(""),
    );
  }, 30_000);
});

describe("when the pool-manager is away", () => {
  it("a pending execution waits for a pool-manager that is away", async () => {
    services = await startServices({ demo: "replicas: 1\n" });
    await services.submit({ code: "import time; time.sleep(2)" });
    const id = await services.submit({ code: "set_result('late')" });
    await services.stop("pool-manager");
    expect((await services.get(id, 700)).status).toBe(ExecutionStatus.PENDING);
    await services.start("pool-manager");
    expect(await ended(id)).toMatchObject({ endReason: EndReason.COMPLETED, resultJson: '"late"' });
  });

  it("a pool-manager that is away is named by the router's readiness", async () => {
    services = await startServices({ demo: "" });
    await services.stop("pool-manager");
    const { router } = services;
    const answer = await callUnary(router, router.getRouterReadiness, {}, "router", { timeoutMs: 5_000 });
    expect(answer.dependencies).toEqual([
      { name: "pool-manager", ready: false, detail: expect.stringContaining("pool-manager") },
      { name: "sanitizer", ready: true, detail: "" },
      { name: "egress", ready: true, detail: "" },
      { name: "database", ready: true, detail: "" },
    ]);
  });
});

describe("when the egress service is away", () => {
  it("a script that waits for its network route gets another worker when its own dies", async () => {
    services = await startServices({ demo: "replicas: 1\nnetwork_allowlist: [api.example.com]\n" });
    await services.stop("egress");
    const id = await services.submit({ code: "set_result('started')" });
    await expect.poll(demo, { timeout: 10_000 }).toMatchObject({ running: 1 });
    const [supervisor = 0] = await belowOf(process.pid);
    process.kill(supervisor, "SIGKILL");
    await expect.poll(demo).toMatchObject({ running: 0 });
    await services.start("egress");
    expect(await ended(id)).toMatchObject({ endReason: EndReason.COMPLETED, resultJson: '"started"' });
  }, 60_000);
});

describe("when the egress service stands still", () => {
  it("a script that waits for its network route starts when a hanging egress service is back", async () => {
    services = await startServices({ demo: "replicas: 1\nnetwork_allowlist: [api.example.com]\n" });
    await services.stop("egress");
    const calls: Http2Session[] = [];
    const still = createHttp2Server().on("stream", ({ session }) => session && calls.push(session));
    still.listen(services.address("egress").slice("unix:".length));
    const id = await services.submit({ code: "set_result('started')" });
    // Longer than the router waits for an answer.
    await expect.poll(() => calls.length, { timeout: 40_000 }).toBeGreaterThanOrEqual(2);
    still.close();
    for (const session of calls) session.destroy();
    await services.start("egress");
    expect(await ended(id)).toMatchObject({ endReason: EndReason.COMPLETED, resultJson: '"started"' });
  }, 60_000);
});

async function demo(): Promise<Project | undefined> {
  const poolManager = connectTo(PoolManagerServiceClient, services.address("pool-manager"));
  const limits = { timeoutMs: 5_000 };
  return await callUnary(poolManager, poolManager.getProject, { name: "demo" }, "pool-manager", limits)
    .then(({ project }) => project)
    .finally(() => poolManager.close());
}
