import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startLoad } from "../../e2e/load/flooding/steady-load.ts";
import { type Deployment, startDeployment } from "../../harness/deployment.ts";
import { type EchoServer, startEchoServer } from "../../harness/echo-server.ts";
import { postgresMissing, startPostgres, type TestPostgres } from "../../harness/postgres.ts";

const missing = postgresMissing();
const SLOW = { timeout: 300_000 };

describe.skipIf(missing)(`a rolling restart under load${missing ? ` (${missing})` : ""}`, () => {
  let postgres: TestPostgres;
  let server: EchoServer;
  let deployment: Deployment;

  beforeAll(async () => {
    postgres = await startPostgres();
    server = await startEchoServer();
    deployment = await startDeployment({
      projects: {
        demo: "replicas: 4\n",
        listed: `replicas: 2\nnetwork_allowlist: ["127.0.0.1:${server.port}"]\nallow_private: [127.0.0.1]\n`,
      },
      databaseUrl: (await postgres.newDatabase()).url,
      gateways: 2,
      routers: 2,
    });
  }, 120_000);
  afterAll(async () => {
    await deployment?.remove();
    await server?.close();
    await postgres?.remove();
  });

  it(
    "a rolling restart of any service under load fails no request and loses no execution",
    SLOW,
    async () => {
      // Longer than a service may take to end, where only a pool-manager takes its workers with it.
      let answerAfterMs = 14_000;
      const load = startLoad({
        urls: deployment.urls,
        perSecond: 3,
        server,
        answerAfterMs: () => answerAfterMs,
      });
      const goOn = async () => {
        const before = load.count();
        await expect.poll(() => load.count(), { timeout: 60_000 }).toBeGreaterThan(before + 8);
      };
      await goOn();
      for (const name of deployment.names.filter((each) => each !== "pool-manager")) {
        expect([name, await deployment.restart(name)]).toEqual([name, 0]);
        // The restarted service has work again before the next one stops.
        await goOn();
      }
      answerAfterMs = 500;
      await sleep(16_000);
      expect(await deployment.restart("pool-manager")).toBe(0);
      await goOn();
      const { failures, repeatedPosts, broken, reasons, ended } = await load.stop();
      const lost = [...ended.values()].filter(({ last }) => last.end_reason !== "completed");
      expect({ failures, broken, lost }).toEqual({ failures: [], broken: [], lost: [] });
      // An idle connection may be closed just then; a gateway that drops what it took would show in more.
      expect(repeatedPosts).toBeLessThan(4);
      expect(reasons).toEqual({ completed: ended.size });
    },
  );
});
