import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { callUnary } from "#common/grpc/client.ts";
import { SubmitRequest } from "#proto/router.ts";
import { type DatabaseProxy, startDatabaseProxy } from "../../harness/database-proxy.ts";
import { postgresMissing, startPostgres, type TestPostgres } from "../../harness/postgres.ts";
import { startServices, type TestServices } from "../../harness/services.ts";

const missing = postgresMissing();
const EXECUTIONS = 10;
// Statements that a router sends from time to time, whether or not there are executions.
const REGULAR = [
  "heartbeat",
  "server-time",
  "claim",
  "claim-lost",
  "list-own",
  "look",
  "ping",
  // The check of the connection for notices.
  "SELECT 1",
  "note-running-time",
  "count-stored-bytes",
  "count-unfinished-bytes",
  "delete-ended",
  "delete-idempotency-keys",
];
const COMPLETED = 4;
// The script ends only after the long poll has begun, also on a busy machine.
const LATER = "import time; time.sleep(0.1)\n";

describe.skipIf(missing)(`an execution with PostgreSQL${missing ? ` (${missing})` : ""}`, () => {
  let postgres: TestPostgres;
  let proxy: DatabaseProxy;
  let services: TestServices;

  beforeAll(async () => {
    postgres = await startPostgres({ tcp: true });
    proxy = await startDatabaseProxy(postgres);
    const projects = { demo: "replicas: 1\nsecrets: {TOKEN: tr0ub4dor-and-3-horses}\n" };
    services = await startServices(projects, { database: proxy.configOf(await postgres.newDatabase()) });
    await run({ code: "print('warm')" });
  });
  afterAll(async () => {
    await services.close();
    await proxy.close();
    await postgres.remove();
  });

  /** Runs a script and waits for its ending with one long poll. */
  const run = async (request: Partial<SubmitRequest>) => {
    const { router } = services;
    const submission = SubmitRequest.fromPartial({ project: "demo", ...request });
    const answer = await callUnary(router, router.submit, submission, "router", { timeoutMs: 10_000 });
    const ended = await services.get(answer.execution?.executionId ?? "", 20_000);
    expect(ended.status).toBe(COMPLETED);
    return ended;
  };
  /** The round trips of a number of executions, one after the other, without the router's regular ones. */
  const roundTripsOf = async (requestOf: (index: number) => Partial<SubmitRequest>) => {
    proxy.takeRoundTrips();
    for (let index = 0; index < EXECUTIONS; index++) await run(requestOf(index));
    const all = proxy.takeRoundTrips();
    // A look, every five seconds, makes the listeners of an execution that it sees for the first time read it.
    const looks = all.filter((names) => names.includes("look")).length;
    const afterLook = new Map(["get-cancel", "get-outline"].map((name) => [name, looks]));
    return all.filter((names) => {
      const own = names.filter((name) => !REGULAR.includes(name));
      const left = afterLook.get(own[0] ?? "") ?? 0;
      if (own.length === 1 && left > 0) afterLook.set(own[0] ?? "", left - 1);
      return own.length > (left > 0 ? 1 : 0);
    });
  };

  it("an execution with PostgreSQL takes three round trips from its submission to the answer of a long poll", async () => {
    const roundTrips = await roundTripsOf(() => ({ code: `${LATER}print('hello')\nset_result(1)` }));
    expect(roundTrips.map(([first]) => first)).toEqual(
      Array.from({ length: EXECUTIONS }, () => ["insert", "start", "finish"]).flat(),
    );
  });

  it("an execution with PostgreSQL takes three round trips with an idempotency key, too", async () => {
    const roundTrips = await roundTripsOf((index) => ({ code: `${LATER}1`, idempotencyKey: `key-${index}` }));
    expect(roundTrips).toHaveLength(3 * EXECUTIONS);
  });

  it("an execution with PostgreSQL takes three round trips when secrets are redacted from it, too", async () => {
    const roundTrips = await roundTripsOf(() => ({ code: `${LATER}print(settings.get('TOKEN'))` }));
    expect(roundTrips).toHaveLength(3 * EXECUTIONS);
  });

  it("an execution with PostgreSQL takes one round trip more with several routers, and nothing waits for it", async () => {
    const other = await services.addRouter();
    try {
      const roundTrips = await roundTripsOf(() => ({ code: `${LATER}print('hello')` }));
      const others = roundTrips.map(([first]) => first).filter((name) => name !== "notify");
      expect(others).toEqual(Array.from({ length: EXECUTIONS }, () => ["insert", "start", "finish"]).flat());
      const notices = roundTrips.length - others.length;
      expect(notices).toBeGreaterThan(0);
      expect(notices).toBeLessThanOrEqual(EXECUTIONS);
    } finally {
      await other.stop(0);
    }
  });
});
