import { randomUUID } from "node:crypto";
import { credentials } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AirlockError } from "#common/errors.ts";
import { callStream, callUnary, connectTo } from "#common/grpc/client.ts";
import { LOCAL_PRINCIPAL, type Principal } from "#common/identity/principal.ts";
import { type Execution, ExecutionStatus } from "#proto/execution.ts";
import { RouterServiceClient, SubmitRequest } from "#proto/router.ts";
import { postgresMissing, startPostgres } from "../../harness/postgres.ts";
import { principal } from "../../harness/principals.ts";
import { startServices, type TestServices } from "../../harness/services.ts";

const ALICE = principal("key:alice", "developer");
const AGENT = principal("key:agent", "developer", {
  kind: "agent",
  maker: "key:alice",
  within: ["developer"],
});
const OTHER = principal("key:other", "developer");
const ACME = principal("key:alice", "admin", { tenant: "acme" });
const SUBMITTERS = { alice: ALICE, agent: AGENT, other: OTHER, local: LOCAL_PRINCIPAL, acme: ACME };
type Name = keyof typeof SUBMITTERS;
const NAMES = Object.keys(SUBMITTERS) as Name[];

const IN_DEFAULT = ["alice", "agent", "other", "local"] as const;
/** Who sees which executions: the names of their submitters. */
const SEES: readonly (readonly [string, Principal, readonly Name[]])[] = [
  ["a developer", ALICE, ["alice", "agent"]],
  ["an agent", AGENT, ["agent"]],
  ["another developer", OTHER, ["other"]],
  ["an observer", principal("key:watch", "observer"), IN_DEFAULT],
  ["an operator", principal("key:ops", "operator"), IN_DEFAULT],
  ["an admin", principal("key:root", "admin"), IN_DEFAULT],
  ["an agent with the role of an operator", principal("key:bot", "operator", { kind: "agent" }), []],
  ["an agent with the role of an admin", { ...AGENT, role: "admin", within: ["admin"] }, ["agent"]],
  ["an operator whose key a developer made", principal("key:sub", "operator", { within: ["developer"] }), []],
  ["the user of this deployment", LOCAL_PRINCIPAL, IN_DEFAULT],
  ["an admin of another tenant", ACME, ["acme"]],
  ["an operator of another tenant", principal("key:ops", "operator", { tenant: "acme" }), ["acme"]],
];
const mayChange = ({ role }: Principal) => role !== "observer";

const missing = postgresMissing();

let services: TestServices;
let overSocket: RouterServiceClient;
let inProcess: RouterServiceClient;

beforeAll(async () => {
  services = await startServices({
    demo: "replicas: 2\n",
    broken: 'packages: ["none @ file:///no/none-1.0-py3-none-any.whl"]\n',
  });
  inProcess = connectTo(RouterServiceClient, services.address("router"));
  // Without Airlock's own channel, which hands calls over in the process.
  overSocket = new RouterServiceClient(services.address("router"), credentials.createInsecure());
});
afterAll(async () => {
  inProcess.close();
  overSocket.close();
  await services.close();
});

/** The calls of a principal, with the names of the RPCs. */
function callsOf(who: Principal, router = inProcess) {
  const limits = { timeoutMs: 40_000, principal: who };
  const page = { project: "", limit: 0, cursor: "" };
  return {
    async submit(request: Partial<SubmitRequest>) {
      const full = SubmitRequest.fromPartial({ project: "demo", code: "pass", ...request });
      const { execution, replayed } = await callUnary(router, router.submit, full, "router", limits);
      return { id: execution?.executionId ?? "", replayed };
    },
    get: async (executionId: string, waitMs = 0) =>
      (await callUnary(router, router.getExecution, { executionId, waitMs, maxBytes: 0 }, "router", limits))
        .execution,
    async read(executionId: string) {
      let execution: Execution | undefined;
      for await (const { part } of callStream(
        router,
        router.readExecution,
        { executionId },
        "router",
        limits,
      ))
        if (part?.$case === "execution") execution = part.value;
      return execution;
    },
    respond: async (executionId: string) =>
      (await callUnary(router, router.respond, { executionId, response: "yes" }, "router", limits)).execution,
    cancel: async (executionId: string) =>
      (await callUnary(router, router.cancel, { executionId }, "router", limits)).execution,
    redactions: (executionId: string) =>
      callUnary(router, router.getRedactions, { executionId }, "router", limits),
    retry: async (executionId: string) =>
      (await callUnary(router, router.retryDeadLetter, { executionId, again: true }, "router", limits))
        .execution,
    list: async (filter: { project?: string; limit?: number; cursor?: string; retryOf?: string } = {}) => {
      const request = { ...page, status: ExecutionStatus.UNSPECIFIED, ...filter };
      const { executions, nextCursor } = await callUnary(
        router,
        router.listExecutions,
        request,
        "router",
        limits,
      );
      return { ids: executions.map(({ executionId }) => executionId), nextCursor };
    },
    letters: async (filter: { project?: string; limit?: number; cursor?: string } = {}) => {
      const request = { ...page, ...filter };
      const { deadLetters } = await callUnary(router, router.listDeadLetters, request, "router", limits);
      return deadLetters.map(({ executionId }) => executionId);
    },
  };
}

type Ids = Readonly<Record<Name, string>>;
async function submitEach(request: Partial<SubmitRequest>): Promise<Ids> {
  const ids = NAMES.map(async (name) => [name, (await callsOf(SUBMITTERS[name]).submit(request)).id]);
  return Object.fromEntries(await Promise.all(ids)) as Ids;
}
const ended = async (ids: Ids) => {
  for (const name of NAMES) await callsOf(SUBMITTERS[name]).get(ids[name], 30_000);
  return ids;
};

/** What of an error a caller sees. */
const errorOf = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    ({ code, message, field }: AirlockError) => ({ code, message, field }),
  );

describe.each(["in this process", "over a Unix socket"])("executions by gRPC %s", (transport) => {
  const client = () => (transport === "in this process" ? inProcess : overSocket);
  let completed: Ids;
  let lost: Ids;
  beforeAll(async () => {
    completed = await ended(await submitEach({ code: "print('done')" }));
    lost = await ended(await submitEach({ project: "broken" }));
  }, 60_000);

  it.each(SEES)(
    `%s reads ${transport} the executions that it sees, and others are like unknown ids`,
    async (_who, who, seen) => {
      const calls = callsOf(who, client());
      for (const read of [calls.get, calls.read, (id: string) => calls.get(id, 5_000)]) {
        const unknown = await errorOf(read(randomUUID()));
        expect(unknown).toMatchObject({ code: "execution_not_found" });
        for (const name of NAMES) {
          if (seen.includes(name))
            expect(await read(completed[name])).toMatchObject({ executionId: completed[name] });
          else expect([name, await errorOf(read(completed[name]))]).toEqual([name, unknown]);
        }
      }
    },
  );

  it.each(SEES)(
    `%s lists ${transport} the executions that it sees, in full pages`,
    async (_who, who, seen) => {
      const calls = callsOf(who, client());
      const all = await calls.list({ limit: 200 });
      const own = NAMES.flatMap((name) => [completed[name], lost[name]].map((id) => [name, id] as const));
      for (const [name, id] of own) expect([name, all.ids.includes(id)]).toEqual([name, seen.includes(name)]);
      const paged: string[] = [];
      let cursor = "";
      do {
        const page = await calls.list({ limit: 3, cursor });
        if (page.nextCursor !== "") expect(page.ids).toHaveLength(3);
        paged.push(...page.ids);
        cursor = page.nextCursor;
      } while (cursor !== "");
      expect(paged).toEqual(all.ids);
      // An execution that one does not see is a cursor like any other id.
      const { ids } = await calls.list({ cursor: completed.other, limit: 200 });
      expect(ids).toEqual(all.ids.filter((id) => id < completed.other));
    },
  );

  it.each(SEES)(
    `%s responds ${transport} to the executions that it sees, if its role may`,
    async (_who, who, seen) => {
      const paused = await submitEach({ code: "set_result(llm.complete('?'))" });
      for (const name of NAMES) {
        const submitter = callsOf(SUBMITTERS[name]);
        expect(await submitter.get(paused[name], 30_000)).toMatchObject({
          status: ExecutionStatus.AWAITING_LLM,
        });
      }
      const calls = callsOf(who, client());
      const refusal = await errorOf(calls.respond(randomUUID()));
      expect(refusal?.code).toBe(mayChange(who) ? "execution_not_found" : "permission_denied");
      for (const name of NAMES) {
        const isTaken = seen.includes(name) && mayChange(who);
        const answer = await errorOf(calls.respond(paused[name]));
        expect([name, answer]).toEqual([name, isTaken ? undefined : refusal]);
        const after = await callsOf(SUBMITTERS[name]).get(paused[name], isTaken ? 30_000 : 0);
        expect([name, after?.status]).toEqual([
          name,
          isTaken ? ExecutionStatus.COMPLETED : ExecutionStatus.AWAITING_LLM,
        ]);
        if (!isTaken) await callsOf(SUBMITTERS[name]).cancel(paused[name]);
      }
    },
    60_000,
  );

  it.each(SEES)(
    `%s cancels ${transport} the executions that it sees, if its role may`,
    async (_who, who, seen) => {
      const running = await submitEach({ code: "import time; time.sleep(60)" });
      const calls = callsOf(who, client());
      const refusal = await errorOf(calls.cancel(randomUUID()));
      expect(refusal?.code).toBe(mayChange(who) ? "execution_not_found" : "permission_denied");
      for (const name of NAMES) {
        const isTaken = seen.includes(name) && mayChange(who);
        expect([name, await errorOf(calls.cancel(running[name]))]).toEqual([
          name,
          isTaken ? undefined : refusal,
        ]);
        const after = await callsOf(SUBMITTERS[name]).get(running[name]);
        expect([name, after?.status === ExecutionStatus.ERROR]).toEqual([name, isTaken]);
        if (!isTaken) await callsOf(SUBMITTERS[name]).cancel(running[name]);
        // What has ended says so only to those who see it.
        const again = await errorOf(calls.cancel(running[name]));
        expect([name, again?.code]).toEqual([name, isTaken ? "already_ended" : refusal?.code]);
      }
    },
    60_000,
  );

  it.each(SEES)(
    `%s reads ${transport} redactions and dead letters of what it sees, if its role may`,
    async (_who, who, seen) => {
      const calls = callsOf(who, client());
      const isPermitted = who.role !== "developer" && !who.within?.includes("developer");
      for (const read of [calls.redactions, calls.retry]) {
        const refusal = await errorOf(read(randomUUID()));
        const mayRead = isPermitted && (read === calls.redactions || mayChange(who));
        expect(refusal?.code).toBe(mayRead ? "execution_not_found" : "permission_denied");
        for (const name of NAMES) {
          if (seen.includes(name) && mayRead) continue;
          expect([name, await errorOf(read(lost[name]))]).toEqual([name, refusal]);
        }
      }
      if (!isPermitted) {
        expect(await errorOf(calls.letters())).toMatchObject({ code: "permission_denied" });
        return;
      }
      const listed = await calls.letters({ limit: 200 });
      for (const name of NAMES) {
        expect([name, listed.includes(lost[name])]).toEqual([name, seen.includes(name)]);
        if (seen.includes(name)) expect(await errorOf(calls.redactions(lost[name]))).toBeUndefined();
      }
    },
  );
});

describe("a retry of a dead letter", () => {
  it("a retry of a dead letter belongs to the principal that submitted the dead letter, whoever retries", async () => {
    const { id } = await callsOf(AGENT).submit({ project: "broken" });
    await callsOf(AGENT).get(id, 30_000);
    const operator = principal("key:ops", "operator");
    const retried = (await callsOf(operator).retry(id))?.executionId ?? "";
    for (const who of [AGENT, ALICE, operator])
      expect((await callsOf(who).list({ retryOf: id })).ids).toEqual([retried]);
    for (const who of [OTHER, ACME]) {
      expect(await errorOf(callsOf(who).get(retried))).toMatchObject({ code: "execution_not_found" });
      expect((await callsOf(who).list({ retryOf: id })).ids).toEqual([]);
    }
    const bot = principal("key:bot", "operator", { kind: "agent" });
    expect(await errorOf(callsOf(bot).retry(id))).toMatchObject({ code: "execution_not_found" });
  });

  it("a call to retry an execution that one does not see does not say whether it is a dead letter", async () => {
    const { id } = await callsOf(ALICE).submit({});
    await callsOf(ALICE).get(id, 30_000);
    const operator = principal("key:ops", "operator");
    expect(await errorOf(callsOf(operator).retry(id))).toMatchObject({ code: "not_a_dead_letter" });
    const foreign = { ...operator, tenant: "acme" };
    expect(await errorOf(callsOf(foreign).retry(id))).toEqual(
      await errorOf(callsOf(foreign).retry(randomUUID())),
    );
  });
});

describe("a held poll", () => {
  it("a held poll of an execution that one does not see is answered at once, like that of an unknown id", async () => {
    const { id } = await callsOf(ALICE).submit({ code: "import time; time.sleep(60)" });
    const startedAtMs = Date.now();
    const refusal = await errorOf(callsOf(OTHER).get(id, 30_000));
    expect(Date.now() - startedAtMs).toBeLessThan(10_000);
    expect(refusal).toEqual(await errorOf(callsOf(OTHER).get(randomUUID(), 30_000)));
    const held = callsOf(ALICE).get(id, 30_000);
    await callsOf(ALICE).cancel(id);
    expect(await held).toMatchObject({ status: ExecutionStatus.ERROR });
  });

  it("held polls of another's executions get nothing, even when the executions end at that moment", async () => {
    const polls = Array.from({ length: 30 }, async () => {
      const { id } = await callsOf(ALICE).submit({});
      const foreign = Array.from({ length: 5 }, () => errorOf(callsOf(OTHER).get(id, 20_000)));
      await callsOf(ALICE).get(id, 20_000);
      return await Promise.all(foreign);
    });
    const refusal = await errorOf(callsOf(OTHER).get(randomUUID()));
    for (const error of (await Promise.all(polls)).flat()) expect(error).toEqual(refusal);
  });
});

describe("an idempotency key", () => {
  it("an idempotency key is its principal's own: each principal that uses it starts one execution", async () => {
    const request = { idempotencyKey: randomUUID() };
    const submitters = [...Object.values(SUBMITTERS), principal("key:ops", "operator")];
    const ids = new Set<string>();
    for (const who of submitters) {
      const answers = await Promise.all([1, 2, 3].map(() => callsOf(who).submit(request)));
      expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
      expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1);
      ids.add(answers[0]?.id ?? "");
      const other = await errorOf(callsOf(who).submit({ ...request, code: "set_result(1)" }));
      expect(other).toMatchObject({ code: "idempotency_key_reused" });
    }
    expect(ids.size).toBe(submitters.length);
  });
});

describe.skipIf(missing)(`two routers on PostgreSQL${missing ? ` (${missing})` : ""}`, () => {
  it("two routers on PostgreSQL show an execution to the same principals, and keep one of each principal for a key", async () => {
    const postgres = await startPostgres();
    const two = await startServices(
      { demo: "replicas: 1\n" },
      { database: (await postgres.newDatabase()).config },
    );
    try {
      const routers = [two.router, (await two.addRouter()).client];
      const request = { idempotencyKey: randomUUID(), code: "llm.complete('?')" };
      const ids = {} as Record<Name, string>;
      for (const name of NAMES) {
        const racing = [0, 1, 0, 1].map((n) => callsOf(SUBMITTERS[name], routers[n]).submit(request));
        const [{ id } = { id: "" }, ...others] = await Promise.all(racing);
        expect(others.map((other) => other.id)).toEqual([id, id, id]);
        ids[name] = id;
      }
      expect(new Set(Object.values(ids)).size).toBe(NAMES.length);
      for (const [who, viewer, seen] of SEES) {
        for (const router of routers) {
          const calls = callsOf(viewer, router);
          expect([who, (await calls.list()).ids.toSorted()]).toEqual([
            who,
            seen.map((name) => ids[name]).toSorted(),
          ]);
          const unknown = await errorOf(calls.get(randomUUID()));
          for (const name of NAMES)
            expect([who, name, await errorOf(calls.get(ids[name]))]).toEqual([
              who,
              name,
              seen.includes(name) ? undefined : unknown,
            ]);
        }
      }
      expect(await callsOf(OTHER, routers[1]).cancel(ids.other)).toMatchObject({
        status: ExecutionStatus.ERROR,
      });
      expect(await errorOf(callsOf(OTHER, routers[1]).cancel(ids.alice))).toMatchObject({
        code: "execution_not_found",
      });
    } finally {
      await two.close();
      await postgres.remove();
    }
  }, 60_000);
});
