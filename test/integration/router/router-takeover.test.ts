import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { callUnary, connectTo } from "#common/grpc/client.ts";
import { EndReason, type Execution, ExecutionStatus } from "#proto/execution.ts";
import { PoolManagerServiceClient } from "#proto/pool_manager.ts";
import { RouterServiceClient, SubmitRequest } from "#proto/router.ts";
import { type EchoServer, startEchoServer } from "../../harness/echo-server.ts";
import {
  postgresMissing,
  startPostgres,
  type TestDatabase,
  type TestPostgres,
} from "../../harness/postgres.ts";
import { type ServiceProcess, startServiceProcess } from "../../harness/service-process.ts";
import { startServices, type TestServices } from "../../harness/services.ts";

const missing = postgresMissing();
// A router is missed after 15 seconds.
const SLOW = { timeout: 120_000 };
const RUNS = `import time, uuid
print('run', uuid.uuid4(), flush=True)
for n in range(60):
    print(n, flush=True)
    time.sleep(0.4)
set_result(9223372036854775809)`;
const CONNECTS = `import urllib.request
def status():
    with urllib.request.urlopen('http://127.0.0.1:PORT/', timeout=20) as response:
        return response.status
first = status()
llm.complete('?')
set_result([first, status()])`;
const ASKS =
  "print('before', flush=True)\nanswer = llm.complete('Say hello')\nprint(answer)\nset_result(answer)";

describe.skipIf(missing)(`a router that is killed${missing ? ` (${missing})` : ""}`, () => {
  let postgres: TestPostgres;
  let database: TestDatabase;
  let services: TestServices;
  let server: EchoServer;
  let doomed: ServiceProcess;
  let client: RouterServiceClient;

  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(async () => {
    await server?.close();
    client?.close();
    await doomed?.kill();
    await services?.close();
    await postgres.remove();
  });

  const submit = async (code: string, project = "demo") => {
    const request = SubmitRequest.fromPartial({ project, code });
    const { execution } = await callUnary(client, client.submit, request, "router", { timeoutMs: 10_000 });
    return execution?.executionId ?? "";
  };
  const until = async (id: string, isEnough: (execution: Execution) => boolean) => {
    await expect
      .poll(async () => isEnough(await services.get(id)), { timeout: 90_000, interval: 200 })
      .toBe(true);
    return await services.get(id);
  };
  const hasEnded = ({ endReason }: Execution) => endReason !== EndReason.UNSPECIFIED;
  const startDoomed = async () => {
    const socket = `unix:${services.directory}/doomed.sock`;
    doomed = await startServiceProcess("router", {
      AIRLOCK_LISTEN: socket,
      AIRLOCK_POOL_MANAGER_ADDRESS: services.address("pool-manager"),
      AIRLOCK_SANITIZER_ADDRESS: services.address("sanitizer"),
      AIRLOCK_EGRESS_ADDRESS: services.address("egress"),
      AIRLOCK_DATABASE_URL: database.url,
    });
    client = connectTo(RouterServiceClient, socket);
  };
  const isAsking = ({ status }: Execution) => status === ExecutionStatus.AWAITING_LLM;

  it(
    "a router that is killed loses no output, no llm request and no result, and nothing runs twice",
    SLOW,
    async () => {
      database = await postgres.newDatabase();
      server = await startEchoServer();
      const listed = `replicas: 1\nnetwork_allowlist: ["127.0.0.1:${server.port}"]\nallow_private: [127.0.0.1]\n`;
      services = await startServices({ demo: "replicas: 4\n", listed }, { database: database.config });
      await startDoomed();
      const runs = await Promise.all([submit(RUNS), submit(RUNS)]);
      const asks = await submit(ASKS);
      const answered = await submit(ASKS);
      const connects = await submit(CONNECTS.replace("PORT", String(server.port)), "listed");
      for (const id of runs) await until(id, ({ stdout }) => stdout.includes("\n3\n"));
      for (const id of [asks, answered, connects]) await until(id, isAsking);
      await doomed.kill();

      const answer = (executionId: string, response: string) =>
        callUnary(
          services.router,
          services.router.respond,
          { executionId, llmRequestId: undefined, response },
          "router",
          { timeoutMs: 5_000 },
        );
      await answer(answered, "while nobody had it");
      await answer(connects, "again");
      const counted = Array.from({ length: 60 }, (_, n) => `${n}\n`).join("");
      for (const id of runs) {
        const { endReason, stdout, resultJson } = await until(id, hasEnded);
        expect([endReason, resultJson]).toEqual([EndReason.COMPLETED, "9223372036854775809"]);
        expect(stdout).toMatch(/^run [0-9a-f-]{36}\n/);
        expect(stdout.slice(stdout.indexOf("\n") + 1)).toBe(counted);
      }
      expect(await until(answered, hasEnded)).toMatchObject({
        endReason: EndReason.COMPLETED,
        stdout: "before\nwhile nobody had it\n",
      });
      expect(await until(connects, hasEnded)).toMatchObject({
        endReason: EndReason.COMPLETED,
        resultJson: "[200,200]",
      });
      expect((await services.get(asks)).status).toBe(ExecutionStatus.AWAITING_LLM);
      await answer(asks, "after it was taken over");
      expect(await until(asks, hasEnded)).toMatchObject({
        endReason: EndReason.COMPLETED,
        stdout: "before\nafter it was taken over\n",
      });
      expect(await database.sql("SELECT DISTINCT epoch::int FROM executions")).toEqual([{ epoch: 2 }]);
      const poolManager = connectTo(PoolManagerServiceClient, services.address("pool-manager"));
      const project = async () => {
        const asked = callUnary(poolManager, poolManager.getProject, { name: "demo" }, "pool-manager", {
          timeoutMs: 5_000,
        });
        return (await asked).project;
      };
      await expect.poll(project).toMatchObject({ running: 0, paused: 0, queueDepth: 0, idleWorkers: 4 });
      poolManager.close();
    },
  );

  it(
    "a router that is killed leaves no script running that is cancelled before its router is missed",
    SLOW,
    async () => {
      database = await postgres.newDatabase();
      await services?.close();
      services = await startServices({ demo: "replicas: 1\n" }, { database: database.config });
      await startDoomed();
      const id = await submit("import time\nprint('on', flush=True)\ntime.sleep(50)");
      await until(id, ({ stdout }) => stdout === "on\n");
      await doomed.kill();
      const { router } = services;
      const { execution } = await callUnary(router, router.cancel, { executionId: id }, "router", {
        timeoutMs: 20_000,
      });
      expect(execution?.endReason).toBe(EndReason.CANCELLED);
      // Its worker is for the next one at once.
      const next = await services.submit({ project: "demo", code: "set_result(1)" });
      expect(await services.get(next, 10_000)).toMatchObject({ resultJson: "1" });
    },
  );
});
