import { expect, it } from "vitest";
import { LOCAL_SUBMITTER, type Scope, type Submitter, submitterOf } from "#common/identity/ownership.ts";
import { failure, NO_OUTPUT } from "../../../services/router/execution.ts";
import { GRANT } from "../grant.ts";
import type { EmptyDatabase } from "../store-contract.ts";
import { SUBMISSION } from "../submission.ts";
import { COMPLETED, LLM_REQUEST, store } from "./test-store.ts";

const ALICE: Submitter = { tenant: "default", principal: "key:alice", maker: "" };
const AGENT: Submitter = { tenant: "default", principal: "key:agent", maker: "key:alice" };
const OTHER: Submitter = { tenant: "default", principal: "key:other", maker: "" };
// The same ids in another tenant.
const ACME: Submitter = { ...ALICE, tenant: "acme" };
const ACME_AGENT: Submitter = { ...AGENT, tenant: "acme" };

const OF_ALICE: Scope = { tenant: "default", principal: "key:alice" };
const OF_AGENT: Scope = { tenant: "default", principal: "key:agent" };
const OF_DEFAULT: Scope = { tenant: "default", principal: undefined };
const OF_ACME: Scope = { tenant: "acme", principal: undefined };
const SCOPES = { OF_ALICE, OF_AGENT, OF_DEFAULT, OF_ACME };

let count = 0;
const submitAs = async (submitter: Submitter, project = "demo") => {
  count += 1;
  const executionId = `own-${String(count).padStart(6, "0")}`;
  expect(await store.insert({ ...SUBMISSION, executionId, project }, {}, submitter)).toBe(true);
  return executionId;
};

/** One execution of each submitter, by the submitter's name. */
const submitAll = async (how: (submitter: Submitter) => Promise<string> = submitAs) => ({
  alice: await how(ALICE),
  agent: await how(AGENT),
  other: await how(OTHER),
  local: await how(LOCAL_SUBMITTER),
  acme: await how(ACME),
  acmeAgent: await how(ACME_AGENT),
});
type Name = keyof Awaited<ReturnType<typeof submitAll>>;

const SEEN: Readonly<Record<keyof typeof SCOPES, readonly Name[]>> = {
  OF_ALICE: ["alice", "agent"],
  OF_AGENT: ["agent"],
  OF_DEFAULT: ["alice", "agent", "other", "local"],
  OF_ACME: ["acme", "acmeAgent"],
};

const paused = async (submitter: Submitter) => {
  const id = await submitAs(submitter);
  await store.start(id, 1, GRANT);
  await store.markAwaiting(id, LLM_REQUEST, 1);
  return id;
};
const lost = async (submitter: Submitter) => {
  const id = await submitAs(submitter);
  await store.finish(id, failure("worker_lost", "gone"), NO_OUTPUT, 2);
  return id;
};

/** The names of the executions for which `reaches` is true in a scope. */
async function reached(
  ids: Readonly<Record<Name, string>>,
  scope: Scope,
  reaches: (id: string, scope: Scope) => Promise<unknown>,
): Promise<string[]> {
  const names = Object.keys(ids) as Name[];
  const found = await Promise.all(names.map((name) => reaches(ids[name], scope)));
  return names.filter((_, index) => found[index] !== undefined && found[index] !== false);
}

/** Tests who submitted an execution, and which executions a scope reaches. */
export function itKeepsSubmitters(test: Pick<EmptyDatabase, "sql">): void {
  it.each(Object.keys(SCOPES) as (keyof typeof SCOPES)[])(
    "the store reads in the scope %s its executions, and knows no other",
    async (name) => {
      const scope = SCOPES[name];
      const ids = await submitAll();
      expect(await reached(ids, scope, (id) => store.get(id, scope))).toEqual(SEEN[name]);
      expect(await reached(ids, scope, (id) => store.read(id, undefined, scope))).toEqual(SEEN[name]);
      expect(await reached(ids, scope, (id) => store.getOutline(id, scope))).toEqual(SEEN[name]);
      expect(await reached(ids, scope, (id) => store.getRedactions(id, scope))).toEqual(SEEN[name]);
      const letters = await submitAll(lost);
      expect(await reached(letters, scope, (id) => store.getDeadLetter(id, scope))).toEqual(SEEN[name]);
    },
  );

  it.each(Object.keys(SCOPES) as (keyof typeof SCOPES)[])(
    "the store changes in the scope %s its executions, and no other",
    async (name) => {
      const scope = SCOPES[name];
      const ids = await submitAll(paused);
      expect(await reached(ids, scope, (id) => store.respond(id, undefined, "yes", scope))).toEqual(
        SEEN[name],
      );
      for (const [each, id] of Object.entries(ids)) {
        const isReached = SEEN[name].includes(each as Name);
        expect((await store.getOutline(id))?.status).toBe(isReached ? "running" : "awaiting_llm");
      }
      expect(await reached(ids, scope, (id) => store.requestCancel(id, scope))).toEqual(SEEN[name]);
      expect(await reached(ids, scope, (id) => store.isCancelRequested(id))).toEqual(SEEN[name]);
    },
  );

  it.each(Object.keys(SCOPES) as (keyof typeof SCOPES)[])(
    "the store lists in the scope %s its executions and dead letters, and pages are full",
    async (name) => {
      const scope = SCOPES[name];
      const rounds = [await submitAll(lost), await submitAll(lost), await submitAll(lost)];
      const expected = rounds.flatMap((ids) => SEEN[name].map((each) => ids[each])).reverse();
      const all = { project: undefined, status: undefined, limit: 50, before: undefined, scope };
      for (const list of [store.list, store.listDeadLetters]) {
        const page = async (filter: object) =>
          (await list({ ...all, ...filter })).map(({ executionId }) => executionId);
        expect(await page({})).toEqual(expected);
        expect(await page({ project: "demo" })).toEqual(expected);
        expect(await page({ project: "none" })).toEqual([]);
        const first = await page({ limit: 2 });
        expect(first).toEqual(expected.slice(0, 2));
        expect(await page({ limit: 2, before: first[1] })).toEqual(expected.slice(2, 4));
        // An execution that the scope does not have is a position like any other.
        expect(await page({ before: rounds[1]?.other })).toEqual(
          expected.filter((id) => id < (rounds[1]?.other as string)),
        );
      }
      expect(await store.list({ ...all, status: "running" })).toEqual([]);
      expect(await store.list({ ...all, status: "error", project: "demo" })).toHaveLength(expected.length);
    },
  );

  it("the store lists the retries of a dead letter in their submitter's scope only", async () => {
    const letter = await lost(AGENT);
    const retry = { of: letter, number: 1 };
    const found = await store.getDeadLetter(letter, OF_ALICE);
    expect(found).toMatchObject({ submitter: AGENT });
    await store.insert({ ...SUBMISSION, executionId: `${letter}-r` }, { retry }, found?.submitter);
    const retries = async (scope: Scope) =>
      await store.list({
        project: undefined,
        status: undefined,
        limit: 9,
        before: undefined,
        retryOf: letter,
        scope,
      });
    for (const scope of [OF_AGENT, OF_ALICE, OF_DEFAULT])
      expect(await retries(scope)).toMatchObject([{ executionId: `${letter}-r` }]);
    for (const scope of [OF_ACME, { tenant: "default", principal: "key:other" }])
      expect(await retries(scope)).toEqual([]);
  });

  it("an execution in the store keeps its submitter when another router claims it, starts it and ends it", async () => {
    const id = await submitAs(AGENT);
    const submitter = async () => (await store.read(id))?.submitter;
    await store.release(id);
    await store.claimPending(10);
    expect(await submitter()).toEqual(AGENT);
    await store.start(id, 1, GRANT);
    await store.release(id);
    await store.claimOrphaned(10);
    await store.finish(id, COMPLETED, NO_OUTPUT, 2);
    expect(await submitter()).toEqual(AGENT);
  });

  it.each(["tenant", "principal", "maker"])(
    "the database refuses another %s of an execution",
    async (column) => {
      const id = await submitAs(AGENT);
      const change = test.sql(`UPDATE executions SET ${column} = 'x' WHERE execution_id = '${id}'`);
      await expect(change).rejects.toThrow("an execution keeps its submitter");
      expect((await store.read(id))?.submitter).toEqual(AGENT);
    },
  );

  it("the store adds one execution for each principal that uses the same idempotency key", async () => {
    const submitters = [LOCAL_SUBMITTER, ALICE, AGENT, ACME, { ...LOCAL_SUBMITTER, tenant: "acme" }];
    const insert = (submitter: Submitter, n: string) =>
      store.insert(
        { ...SUBMISSION, executionId: `same-${submitters.indexOf(submitter)}-${n}` },
        { idempotency: { key: "same", fingerprint: `print ${n}` } },
        submitter,
      );
    for (const submitter of submitters) {
      expect(await store.getIdempotencyKey("same", submitter)).toBeUndefined();
      const won = await Promise.all(["a", "b", "c"].map((n) => insert(submitter, n)));
      expect(won.filter(Boolean)).toHaveLength(1);
      const n = ["a", "b", "c"][won.indexOf(true)];
      expect(await store.getIdempotencyKey("same", submitter)).toEqual({
        fingerprint: `print ${n}`,
        executionId: `same-${submitters.indexOf(submitter)}-${n}`,
      });
    }
    const rows = await test.sql("SELECT tenant, principal FROM idempotency_keys WHERE key LIKE '%same'");
    expect(rows).toHaveLength(submitters.length);
  });

  it("a principal whose id ends like another principal's key uses keys of its own", async () => {
    const one: Submitter = { tenant: "default", principal: "jwt:i#a b", maker: "" };
    const two: Submitter = { tenant: "default", principal: "jwt:i#a", maker: "" };
    const insert = (submitter: Submitter, key: string, executionId: string) =>
      store.insert({ ...SUBMISSION, executionId }, { idempotency: { key, fingerprint: "print" } }, submitter);
    expect(await insert(one, "c", "key-1")).toBe(true);
    expect(await insert(two, "c", "key-2")).toBe(true);
    expect(await store.getIdempotencyKey("b", two)).toBeUndefined();
  });

  it("principals' ids are submitted with the executions exactly", async () => {
    const submitter = submitterOf({
      id: "jwt:https://issuer.example/ü#a 'b\" %",
      kind: "agent",
      tenant: "default",
      role: "developer",
      maker: "key:ü %",
    });
    const id = await submitAs(submitter);
    expect((await store.read(id))?.submitter).toEqual(submitter);
    const scope = { tenant: "default", principal: "key:ü %" };
    expect(await store.getOutline(id, scope)).toBeDefined();
  });
}
