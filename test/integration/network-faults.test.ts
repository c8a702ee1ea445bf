import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Deployment, type Edge, startDeployment } from "../support/deployment.ts";
import { type EchoServer, startEchoServer } from "../support/echo-server.ts";
import { postgresMissing, startPostgres, type TestDatabase, type TestPostgres } from "../support/postgres.ts";
import { type RestClient, restClient } from "../support/rest.ts";
import { type SteadyLoad, startLoad } from "../support/steady-load.ts";
import { type Fault, startToxiproxy, type Toxiproxy, toxiproxyMissing } from "../support/toxiproxy.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const PYTHON = process.env.AIRLOCK_PYTHON ?? join(ROOT, ".venv", "bin", "python");
const missing = postgresMissing() ?? toxiproxyMissing();
const SLOW = 300_000;
const FAULT_MS = 2_500;

const EDGES: readonly Edge[] = [
  "gateway→router",
  "router→pool-manager",
  "router→sanitizer",
  "router→egress",
  "router→postgres",
  "sanitizer→secrets",
  "pool-manager→secrets",
  "egress→secrets",
  "router→worker",
  "pool-manager→worker",
  "egress→worker",
];
const FAULTS: Readonly<Record<string, Fault | "cut">> = {
  latency: { type: "latency", attributes: { latency: 150, jitter: 100 } },
  "single bytes": { type: "slicer", attributes: { average_size: 1, size_variation: 0, delay: 20 } },
  reset: { type: "reset_peer", attributes: { timeout: 100 } },
  cut: "cut",
  "black hole": { type: "timeout", attributes: { timeout: 0 } },
};
// What an execution may end as when the network failed it; never something else, and never nothing.
const EXCUSED = new Set(["completed", "worker_lost", "output_withheld", "start_failed", "exception"]);

describe.skipIf(missing)(`faults in the network${missing ? ` (${missing})` : ""}`, () => {
  let postgres: TestPostgres;
  let database: TestDatabase;
  let server: EchoServer;
  let toxiproxy: Toxiproxy;
  let deployment: Deployment;
  let directory: string;

  beforeAll(async () => {
    [postgres, server, toxiproxy] = await Promise.all([
      startPostgres({ tcp: true }),
      startEchoServer(),
      startToxiproxy(),
    ]);
    database = await postgres.newDatabase();
    directory = await mkdtemp(join(tmpdir(), "airlock-f-"));
    const python = join(directory, "python");
    const proxied = join(ROOT, "test", "support", "proxied-worker.py");
    await writeFile(python, `#!/bin/sh\nexec "${PYTHON}" "${proxied}" "${PYTHON}" "${toxiproxy.api}" "$@"\n`);
    await chmod(python, 0o755);
    const url = new URL(database.url.replace(/@[^/]*\//, `@127.0.0.1:${postgres.port}/`));
    url.port = String(await toxiproxy.proxy("router→postgres", postgres.port));
    let count = 0;
    deployment = await startDeployment({
      projects: {
        demo: "replicas: 2\n",
        listed: `replicas: 2\nnetwork_allowlist: ["127.0.0.1:${server.port}"]\nallow_private: [127.0.0.1]\n`,
      },
      databaseUrl: url.href,
      routers: 2,
      python,
      between: (edge, port) => toxiproxy.proxy(`${edge} ${++count}`, port),
    });
  }, 120_000);
  afterAll(async () => {
    await deployment?.remove();
    await toxiproxy?.stop();
    await server?.close();
    await postgres?.remove();
    if (directory) await rm(directory, { recursive: true });
  });

  const goesOn = async (load: SteadyLoad) => {
    const before = load.count();
    // Pings miss a connection into a black hole within 30 seconds, and what was on it has then still to be done again.
    await expect.poll(() => load.count(), { timeout: 90_000, interval: 100 }).toBeGreaterThan(before + 3);
  };

  it.each(EDGES)(
    "on the way %s lose nothing, turn nothing back and run nothing twice",
    async (edge) => {
      const load = startLoad({ urls: deployment.urls, perSecond: 2, server });
      await goesOn(load);
      for (const fault of Object.values(FAULTS)) {
        const faults = await toxiproxy.on(edge);
        await (fault === "cut" ? faults.cut() : faults.hurt(fault));
        await sleep(FAULT_MS);
        await faults.heal();
        await goesOn(load);
      }
      const { broken, ended, reasons, failures, slowestMs } = await load.stop();
      const others = [...ended.values()].filter(({ last }) => !EXCUSED.has(last.end_reason ?? ""));
      if (process.env.AIRLOCK_TEST_SAY) {
        process.stderr.write(
          `${edge}: ${JSON.stringify({ reasons, failures: failures.length, slowestMs })}\n`,
        );
      }
      expect({ broken, others }).toEqual({ broken: [], others: [] });
      // All that the gateway waits for has a deadline; the longest is that of a change.
      expect(slowestMs).toBeLessThan(40_000);
      const open = await database.sql(
        "SELECT execution_id FROM executions WHERE status NOT IN ('completed', 'error', 'timeout')",
      );
      expect(open).toEqual([]);
    },
    SLOW,
  );

  describe("a black hole that stays", () => {
    const HOLE = FAULTS["black hole"] as Fault;
    const timed = async <T>(work: Promise<T>): Promise<{ value: T; ms: number }> => {
      const startedAt = Date.now();
      return { value: await work, ms: Date.now() - startedAt };
    };
    const inHole = async (edge: Edge, work: (rest: RestClient) => Promise<void>) => {
      const rest = restClient(deployment.urls[0] ?? "");
      await rest.run({ code: "set_result(1)" });
      const faults = await toxiproxy.on(edge);
      await faults.hurt(HOLE);
      try {
        await work(rest);
      } finally {
        await faults.heal();
      }
      await expect
        .poll(() => rest.run({ code: "set_result(2)" }).catch(() => undefined), { timeout: 60_000 })
        .toMatchObject({ result: 2 });
    };

    it(
      "between gateway and router: every request is answered by its deadline, long polls by the pings",
      () =>
        inHole("gateway→router", async (rest) => {
          const url = `${rest.url}/executions/01a20007-9e3e-77f2-b875-e06b048e0e4f`;
          const [read, change, poll] = await Promise.all([
            timed(fetch(url)),
            timed(rest.post("/execute", { project: "demo", code: "1" })),
            timed(fetch(`${url}?wait=60`)),
          ]);
          for (const { value } of [read, change, poll]) expect([503, 504]).toContain(value.status);
          // 5 s, 15 s and 20 + 10 s, and what a busy machine needs.
          expect(read.ms).toBeLessThan(15_000);
          expect(change.ms).toBeLessThan(25_000);
          expect(poll.ms).toBeLessThan(45_000);
        }),
      SLOW,
    );

    it(
      "between router and sanitizer: an execution ends, as one whose output is withheld",
      () =>
        inHole("router→sanitizer", async (rest) => {
          const { value, ms } = await timed(rest.run({ code: "print('out'); set_result(1)" }));
          expect(value).toMatchObject({ end_reason: "output_withheld", stdout: "" });
          expect(ms).toBeLessThan(60_000);
        }),
      SLOW,
    );

    it(
      "between router and pool-manager: what is accepted waits, and runs when it is over",
      async () => {
        let id = "";
        await inHole("router→pool-manager", async (rest) => {
          id = await rest.submit({ code: "set_result('late')" });
          await sleep(35_000);
          expect((await rest.get(id)).status).toBe("pending");
        });
        expect(await restClient(deployment.urls[0] ?? "").settled(id)).toMatchObject({ result: "late" });
      },
      SLOW,
    );
  });
});
