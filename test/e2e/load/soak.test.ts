import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Deployment, startDeployment } from "../../harness/deployment.ts";
import { type EchoServer, startEchoServer } from "../../harness/echo-server.ts";
import {
  postgresMissing,
  startPostgres,
  type TestDatabase,
  type TestPostgres,
} from "../../harness/postgres.ts";
import { belowOf, diskMb, processUsageOf } from "../../support/process-usage.ts";
import { median, type Sample, slopePerMinute } from "../../support/trend.ts";
import { startLoad } from "./flooding/steady-load.ts";

const missing = postgresMissing();
const MINUTES = Number(process.env.AIRLOCK_SOAK_MINUTES || 3);
const PER_SECOND = Number(process.env.AIRLOCK_SOAK_PER_SECOND || 3);
const SAMPLE_MS = Math.max(2_000, (MINUTES * 60_000) / 300);
// Caches fill, code is compiled and the first executions are forgotten: no trend of these minutes says anything.
const WARM_UP = 0.4;
// V8 lets a heap grow for minutes before it looks for garbage in all of it, unless it may not be large: else the
// trend of a short run would be that of its patience.
const SMALL_HEAP = "--max-old-space-size=96 --max-semi-space-size=2";
// What may be added from the first sample to the last, however long that takes: a leak shows all the better in a long
// run.
const ALLOWED: Readonly<Record<string, { readonly share: number; readonly least: number }>> = {
  memoryMb: { share: 0.15, least: 30 },
  descriptors: { share: 0.1, least: 10 },
  processes: { share: 0.1, least: 3 },
  diskMb: { share: 0.15, least: 5 },
};

describe.skipIf(missing)(`${MINUTES} minutes of steady load${missing ? ` (${missing})` : ""}`, () => {
  let postgres: TestPostgres;
  let database: TestDatabase;
  let server: EchoServer;
  let deployment: Deployment;

  beforeAll(async () => {
    postgres = await startPostgres();
    database = await postgres.newDatabase();
    server = await startEchoServer();
    deployment = await startDeployment({
      projects: {
        demo: "replicas: 3\n",
        listed: `replicas: 1\nnetwork_allowlist: ["127.0.0.1:${server.port}"]\nallow_private: [127.0.0.1]\n`,
      },
      databaseUrl: database.url,
      retention: "20s",
      nodeOptions: SMALL_HEAP,
    });
  }, 120_000);
  afterAll(async () => {
    await deployment?.remove();
    await server?.close();
    await postgres?.remove();
  });

  const sample = async (): Promise<Record<string, Record<string, number>>> => {
    const found: Record<string, Record<string, number>> = {};
    for (const name of deployment.names) {
      found[name] = { ...(await processUsageOf([deployment.process(name).pid])) };
    }
    const workers = await belowOf(deployment.process("pool-manager").pid);
    found.workers = { ...(await processUsageOf(workers)), diskMb: await diskMb(deployment.directory) };
    const [size] = await database.sql<{ mb: number }>(
      "SELECT pg_database_size(current_database())::float / 1048576 AS mb",
    );
    found.database = { diskMb: size?.mb ?? 0 };
    return found;
  };

  it(
    `${MINUTES} minutes of steady load add nothing to the memory, descriptors, processes and disk of any service`,
    async () => {
      const load = startLoad({ urls: deployment.urls, perSecond: PER_SECOND, server, keepEnded: false });
      const startedAt = Date.now();
      const minutes = () => (Date.now() - startedAt) / 60_000;
      await sleep(MINUTES * WARM_UP * 60_000);
      const series = new Map<string, Sample[]>();
      while (minutes() < MINUTES) {
        const atMinutes = minutes();
        for (const [service, values] of Object.entries(await sample())) {
          for (const [what, value] of Object.entries(values)) {
            const key = `${service} ${what}`;
            series.set(key, [...(series.get(key) ?? []), { atMinutes, value }]);
          }
        }
        await sleep(SAMPLE_MS);
      }
      const { failures, broken, reasons } = await load.stop();
      const measuredMinutes = MINUTES * (1 - WARM_UP);
      const rows = [...series].map(([key, samples]) => {
        const [service = "", what = ""] = key.split(" ");
        const middle = median(samples.map(({ value }) => value));
        const added = slopePerMinute(samples) * measuredMinutes;
        const { share, least } = ALLOWED[what] ?? { share: 0, least: 0 };
        return { service, what, median: middle, added, allowed: Math.max(middle * share, least) };
      });
      const table = rows.map(
        ({ service, what, median, added, allowed }) =>
          `| ${service} | ${what} | ${median.toFixed(1)} | ${added.toFixed(2)} | ${allowed.toFixed(1)} |`,
      );
      process.stderr.write(
        [
          `${JSON.stringify(reasons)} in ${MINUTES} minutes`,
          "| service | what | median | added | allowed |",
          "|---|---|---|---|---|",
          ...table,
          "",
        ].join("\n"),
      );
      expect({ failures, broken, others: Object.keys(reasons) }).toEqual({
        ...{ failures: [], broken: [] },
        others: ["completed"],
      });
      expect(rows.filter(({ added, allowed }) => added > allowed)).toEqual([]);
    },
    (MINUTES + 5) * 60_000,
  );
});
