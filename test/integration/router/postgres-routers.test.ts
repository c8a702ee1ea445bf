import { describe, expect, it } from "vitest";
import { systemClock } from "#common/resilience/clock.ts";
import { type Ending, failure, NO_OUTPUT } from "../../../services/router/execution.ts";
import { watchExecution } from "../../../services/router/queries/watch.ts";
import type { Outline } from "../../../services/router/store/store.ts";
import { postgresMissing } from "../../harness/postgres.ts";
import {
  countChanges,
  LLM_REQUEST,
  running,
  submit,
  usePostgresStores,
} from "../../harness/postgres-stores.ts";
import { createFakeClock } from "../../support/fake-clock.ts";
import { GRANT } from "../../support/grant.ts";

const missing = postgresMissing();
const CANCELLED = failure("cancelled", "The execution was cancelled.");
const COMPLETED: Ending = { ...CANCELLED, reason: "completed", error: null, resultJson: "[1.0]" };
const SECOND = 1_000;

describe.skipIf(missing)(`a real PostgreSQL${missing ? ` (${missing})` : ""}`, () => {
  const stores = usePostgresStores();
  /** A store whose clock stands still: it learns of changes by notices only, never polls, and shows no sign of life. */
  const openStill = (owner: string) => stores.open(owner, { clock: createFakeClock() });

  describe("with several routers", () => {
    it("several routers on PostgreSQL claim each of 200 pending executions exactly once, oldest first", async () => {
      const first = await stores.open("router-0");
      const ids = Array.from({ length: 200 }, (_, index) => `id-${String(index).padStart(3, "0")}`);
      for (const [index, id] of ids.entries()) await submit(first, id, index % 2 ? "odd" : "even");
      await Promise.all(ids.map((id) => first.release(id)));
      const claimers = await Promise.all(Array.from({ length: 8 }, (_, n) => stores.open(`router-${n + 1}`)));
      const claimed = await Promise.all(
        claimers.map(async (store) => {
          const mine: string[] = [];
          for (;;) {
            const claims = await store.claimPending(7);
            if (claims.length === 0) return mine;
            mine.push(...claims.map(({ executionId }) => executionId));
          }
        }),
      );
      expect(claimed.flat().sort()).toEqual(ids);
      for (const mine of claimed) expect(mine).toEqual([...mine].sort());
      expect(claimed.filter((mine) => mine.length > 0).length).toBeGreaterThan(1);
      for (const id of ids) {
        const starts = await Promise.all(claimers.map((store) => store.start(id, 5, GRANT)));
        expect(starts.filter(Boolean)).toHaveLength(1);
      }
      expect(await stores.database.sql("SELECT DISTINCT epoch FROM executions")).toEqual([{ epoch: "2" }]);
    });

    it("an execution on PostgreSQL is started by its own router only, and again if that router did not get the answer", async () => {
      const [a, b] = [await stores.open("a"), await stores.open("b")];
      const id = await submit(a);
      expect(await b.start(id, 1, GRANT)).toBeUndefined();
      expect(await a.start(id, 1, GRANT)).toMatchObject({ submission: { executionId: id } });
      expect(await a.start(id, 1, GRANT)).toMatchObject({ submission: { executionId: id } });
      expect(await a.start(id, 2, GRANT)).toBeUndefined();
      expect(await b.start(id, 1, GRANT)).toBeUndefined();
    });

    it("a notice of a stranger in the database ends no router, whatever it says", async () => {
      const [a, b] = [await stores.open("a"), await openStill("b")];
      const id = await running(a);
      const heard: string[] = [];
      for (const watched of ["error", id]) b.onChange(watched, () => heard.push(watched));
      // Every role that may connect may send notices on every channel.
      for (const channel of ["airlock_routers", "airlock_claimable", "airlock_changes"]) {
        for (const payload of [
          "x error",
          "x newListener,removeListener",
          "x __proto__",
          "x",
          "",
          " , ,",
          `x ${id}`,
        ])
          await stores.database.sql(`SELECT pg_notify('${channel}', '${payload}')`);
      }
      await expect.poll(() => heard).toContain("error");
      // The notice for `id` came after all others, so the router has read them.
      await expect.poll(() => heard.slice(heard.indexOf("error"))).toContain(id);
    });

    it("a change at one router wakes a watcher at another router", async () => {
      const [a, b] = [await stores.open("a"), await openStill("b")];
      const id = await running(a);
      let reads = 0;
      const isEnough = ({ status }: Outline) => {
        reads += 1;
        return status !== "running";
      };
      const settled = watchExecution(b, id, isEnough, systemClock, { waitMs: 20 * SECOND });
      await expect.poll(() => reads).toBeGreaterThan(0);
      await a.markAwaiting(id, LLM_REQUEST, 1);
      expect(await settled).toMatchObject({ status: "awaiting_llm" });
      expect(await b.get(id)).toMatchObject({ state: { llmRequest: LLM_REQUEST } });
    });

    it("one of eight answers that race over two routers is taken, and the router of the run is notified", async () => {
      const [a, b] = [await openStill("a"), await stores.open("b")];
      const id = await running(a);
      await a.markAwaiting(id, LLM_REQUEST, 1);
      const heard = countChanges(a, id);
      const answers = await Promise.all(
        [a, b, a, b, a, b, a, b].map((store, index) => store.respond(id, "llm_1", `answer ${index}`)),
      );
      expect(answers.filter(Boolean)).toHaveLength(1);
      await expect.poll(() => heard.count).toBeGreaterThan(0);
      const answer = `answer ${answers.indexOf(true)}`;
      expect([await a.getResponse(id, "llm_1"), await b.getResponse(id, "llm_1")]).toEqual([answer, answer]);
    });

    it("a cancellation at one router is notified to the router that runs the execution", async () => {
      const [a, b] = [await openStill("a"), await stores.open("b")];
      const id = await running(a);
      const heard = countChanges(a, id);
      expect(await b.requestCancel(id)).toBe(true);
      await expect.poll(() => heard.count).toBeGreaterThan(0);
      expect(await a.isCancelRequested(id)).toBe(true);
      const endings = await Promise.all([
        a.finish(id, COMPLETED, NO_OUTPUT, 5),
        b.forceFinish(id, CANCELLED, 5),
      ]);
      expect(endings.filter(Boolean)).toHaveLength(1);
    });

    it("an ended execution is forgotten once, even if two routers clean up at the same time", async () => {
      const [a, b] = [await stores.open("a"), await stores.open("b")];
      await stores.database.sql(
        `INSERT INTO executions (execution_id, project, status, end_reason, code, timeout_ms, settings, memory, created_at_ms, ended_at_ms)
         SELECT 'id-' || n, 'demo', 'error', 'killed', '', 1, '{}', '{}', 1, n FROM generate_series(1, 400) AS n`,
      );
      const deleted = [0, 0];
      for (let round = [1, 1]; Math.max(...round) > 0; ) {
        round = await Promise.all([a, b].map((store) => store.deleteEndedBefore(301, 20)));
        for (const [index, count] of round.entries()) deleted[index] = (deleted[index] ?? 0) + count;
      }
      expect(deleted.reduce((sum, count) => sum + count)).toBe(300);
      expect(Math.min(...deleted)).toBeGreaterThan(0);
      const left = "SELECT count(*)::int, min(ended_at_ms)::int FROM executions";
      expect(await stores.database.sql(left)).toEqual([{ count: 100, min: 301 }]);
    });

    it("the executions that a stopping router gives back are announced to the other routers", async () => {
      const [a, b] = [await stores.open("a"), await openStill("b")];
      const pending = await submit(a, "0001");
      await running(a, "0002");
      let heard = 0;
      b.onClaimable(() => {
        heard += 1;
      });
      await stores.close(a);
      await expect.poll(() => heard).toBe(1);
      expect(await b.claimPending(10)).toEqual([{ executionId: pending, project: "demo" }]);
      expect(await stores.database.sql("SELECT router_id FROM routers")).toEqual([{ router_id: "b" }]);
    });

    it("the executions of a router that is not seen any more are freed, and those of a live router are not", async () => {
      const clock = createFakeClock();
      const [dead, alive] = [await openStill("dead"), await stores.open("alive", { clock })];
      const other = await openStill("other");
      await submit(dead, "0001");
      await running(dead, "0002");
      await submit(other, "0003");
      await stores.database.sql(
        "UPDATE routers SET seen_at = now() - interval '16 seconds' WHERE router_id = 'dead'",
      );
      expect(await alive.claimPending(10)).toEqual([]);
      let heard = 0;
      other.onClaimable(() => {
        heard += 1;
      });
      await clock.advance(3 * SECOND);
      await expect.poll(() => heard).toBe(1);
      expect(await alive.claimPending(10)).toEqual([{ executionId: "0001", project: "demo" }]);
      expect(await dead.start("0001", 5, GRANT)).toBeUndefined();
      expect(await alive.start("0001", 5, GRANT)).toBeDefined();
      expect(await alive.claimOrphaned(10)).toMatchObject([
        { executionId: "0002", epoch: 2, grant: GRANT, position: 0 },
      ]);
      expect(await dead.finish("0002", CANCELLED, NO_OUTPUT, 5)).toBe(false);
    });
  });

  describe("when notices do not come", () => {
    it("a router without notices sees a change by looking", async () => {
      const clock = createFakeClock();
      const store = await stores.open("a", { clock });
      const id = await running(store);
      const heard = countChanges(store, id);
      const mute = "UPDATE executions SET cancel_requested = TRUE WHERE execution_id = $1";
      await clock.advance(5 * SECOND);
      await expect.poll(() => heard.count).toBe(1);
      await stores.database.sql(mute, [id]);
      expect(heard.count).toBe(1);
      await clock.advance(5 * SECOND);
      await expect.poll(() => heard.count).toBe(2);
      await clock.advance(5 * SECOND);
      await store.ping();
      expect(heard.count).toBe(2);
    });

    it("a router listens again after its connection for notices was cut, and looks for missed changes", async () => {
      const [a, b] = [await stores.open("a"), await stores.open("b")];
      const id = await running(b);
      const heard = countChanges(a, id);
      const theirs = "application_name = 'airlock-router-notices' AND datname = current_database()";
      const cut = await stores.database.sql(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${theirs}`,
      );
      expect(cut).toHaveLength(2);
      await b.markAwaiting(id, LLM_REQUEST, 1);
      await expect.poll(() => heard.count).toBeGreaterThan(0);
      const connections = `SELECT 1 FROM pg_stat_activity WHERE ${theirs}`;
      await expect.poll(() => stores.database.sql(connections)).toHaveLength(2);
      const before = heard.count;
      const answeredAtMs = Date.now();
      await b.respond(id, "llm_1", "hello");
      await expect.poll(() => heard.count).toBeGreaterThan(before);
      expect(Date.now() - answeredAtMs).toBeLessThan(4 * SECOND);
    });
  });
});
