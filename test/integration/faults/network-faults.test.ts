import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, type ExpectStatic, it } from "vitest";
import { type SteadyLoad, startLoad } from "../../e2e/load/flooding/steady-load.ts";
import type { Edge } from "../../harness/deployment.ts";
import { type EchoServer, startEchoServer } from "../../harness/echo-server.ts";
import { postgresMissing, startPostgres, type TestPostgres } from "../../harness/postgres.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";
import { type Fault, toxiproxyMissing } from "../../harness/toxiproxy.ts";
import { type FaultHarness, openFaultHarness } from "./fault-harness.ts";

const missing = postgresMissing() ?? toxiproxyMissing();
const SLOW = 300_000;
const FAULT_MS = 2_500;

const BLACK_HOLE: Fault = { type: "timeout", attributes: { timeout: 0 } };
const FAULTS: Readonly<Record<string, Fault | "cut">> = {
  latency: { type: "latency", attributes: { latency: 150, jitter: 100 } },
  "single bytes": { type: "slicer", attributes: { average_size: 1, size_variation: 0, delay: 20 } },
  reset: { type: "reset_peer", attributes: { timeout: 100 } },
  cut: "cut",
  "black hole": BLACK_HOLE,
};
// What an execution may end as when the network failed it; never something else, and never nothing.
const EXCUSED = ["completed", "worker_lost", "output_withheld", "start_failed", "exception"];

/** What callers meet while the hole is there; resolves to what is true afterwards, if there is more to see then. */
type Hole = (rest: RestClient, expect: ExpectStatic) => Promise<(() => Promise<void>) | undefined>;

const timed = async <T>(work: Promise<T>): Promise<{ value: T; ms: number }> => {
  const startedAt = Date.now();
  return { value: await work, ms: Date.now() - startedAt };
};

const behindGateway: Hole = async (rest, expect) => {
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
  return undefined;
};

const beforeSanitizer: Hole = async (rest, expect) => {
  const { value, ms } = await timed(rest.run({ code: "print('out'); set_result(1)" }));
  expect(value).toMatchObject({ end_reason: "output_withheld", stdout: "" });
  expect(ms).toBeLessThan(60_000);
  return undefined;
};

const beforePoolManager: Hole = async (rest, expect) => {
  const id = await rest.submit({ code: "set_result('late')" });
  await sleep(35_000);
  expect((await rest.get(id)).status).toBe("pending");
  return async () => expect(await rest.settled(id)).toMatchObject({ result: "late" });
};

// Each group has a harness of its own and mostly waits for pings, deadlines and the ends of faults: side by side.
const GROUPS: readonly {
  readonly ways: string;
  readonly edges: readonly Edge[];
  readonly hole?: readonly [Edge, outcome: string, Hole];
}[] = [
  {
    ways: "from the gateway and to secrets",
    edges: ["gateway→router", "sanitizer→secrets", "pool-manager→secrets"],
    hole: [
      "gateway→router",
      "every request is answered by its deadline, long polls by the pings",
      behindGateway,
    ],
  },
  {
    ways: "to sanitizer, egress and secrets",
    edges: ["router→sanitizer", "router→egress", "egress→secrets"],
    hole: ["router→sanitizer", "an execution ends as output_withheld", beforeSanitizer],
  },
  {
    ways: "to pool-manager and database",
    edges: ["router→pool-manager", "router→postgres"],
    hole: [
      "router→pool-manager",
      "an accepted execution waits, and runs when the fault is over",
      beforePoolManager,
    ],
  },
  { ways: "to workers", edges: ["router→worker", "pool-manager→worker", "egress→worker"] },
];

describe.skipIf(missing)(`faults in the network${missing ? ` (${missing})` : ""}`, () => {
  let postgres: TestPostgres;
  let server: EchoServer;
  beforeAll(async () => {
    [postgres, server] = await Promise.all([startPostgres({ tcp: true }), startEchoServer()]);
  }, 120_000);
  afterAll(async () => {
    await server?.close();
    await postgres?.remove();
  });

  describe.each(GROUPS)("on the connections $ways", { concurrent: true }, ({ edges, hole }) => {
    const inTurn = { concurrent: false, timeout: SLOW };
    let harness: FaultHarness;
    beforeAll(async () => {
      harness = await openFaultHarness(postgres, server);
    }, 120_000);
    afterAll(() => harness?.stop());

    const goesOn = async (load: SteadyLoad, expect: ExpectStatic) => {
      const before = load.count();
      // Pings miss a connection into a black hole within 30 seconds, and what was on it has then still to be done
      // again.
      await expect.poll(() => load.count(), { timeout: 90_000, interval: 100 }).toBeGreaterThan(before + 3);
    };

    it.for(edges)(
      "faults on the connection %s lose no execution, refuse no request and run nothing twice",
      inTurn,
      async (edge, { expect }) => {
        const load = startLoad({ urls: harness.deployment.urls, perSecond: 2, server });
        await goesOn(load, expect);
        for (const fault of Object.values(FAULTS)) {
          const faults = await harness.toxiproxy.on(edge);
          await (fault === "cut" ? faults.cut() : faults.inject(fault));
          await sleep(FAULT_MS);
          await faults.heal();
          await goesOn(load, expect);
        }
        const { broken, ended, reasons, failures, slowestMs } = await load.stop();
        // The pool-manager makes that connection anew, so no worker is lost by it.
        const excused = edge === "pool-manager→worker" ? ["completed"] : EXCUSED;
        const others = [...ended.values()].filter(({ last }) => !excused.includes(last.end_reason ?? ""));
        if (process.env.AIRLOCK_TEST_SAY) {
          process.stderr.write(
            `${edge}: ${JSON.stringify({ reasons, failures: failures.length, slowestMs })}\n`,
          );
        }
        expect({ broken, others }).toEqual({ broken: [], others: [] });
        // All that the gateway waits for has a deadline; the longest is that of a change.
        expect(slowestMs).toBeLessThan(40_000);
        const open = await harness.database.sql(
          "SELECT execution_id FROM executions WHERE status NOT IN ('completed', 'error', 'timeout')",
        );
        expect(open).toEqual([]);
      },
    );

    it.for(hole ? [hole] : [])(
      "while messages on the connection %s are lost for long, %s",
      inTurn,
      async ([edge, , work], { expect }) => {
        const rest = restClient(harness.deployment.urls[0] ?? "");
        await rest.run({ code: "set_result(1)" });
        const faults = await harness.toxiproxy.on(edge);
        await faults.inject(BLACK_HOLE);
        const afterwards = await work(rest, expect).finally(() => faults.heal());
        const next = () => rest.run({ code: "set_result(2)" }).catch(() => undefined);
        await expect.poll(next, { timeout: 60_000 }).toMatchObject({ result: 2 });
        await afterwards?.();
      },
    );
  });
});
