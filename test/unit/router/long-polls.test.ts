import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Submitter, submitterOf } from "#common/identity/ownership.ts";
import type { Principal } from "#common/identity/principal.ts";
import { systemClock } from "#common/resilience/clock.ts";
import { createDrain } from "#common/service/drain.ts";
import { failure, NO_OUTPUT } from "../../../services/router/execution.ts";
import { createExecutions, type Executions } from "../../../services/router/queries/executions.ts";
import { openSqliteStore } from "../../../services/router/store/sqlite/store.ts";
import type { ExecutionStore } from "../../../services/router/store/store.ts";
import { GRANT } from "../../support/grant.ts";
import { SUBMISSION } from "../../support/submission.ts";

const ALICE: Principal = { id: "user:alice", kind: "human", tenant: "acme", role: "developer" };
const STRANGERS: Principal[] = [
  { ...ALICE, id: "user:bob" },
  { ...ALICE, tenant: "other" },
];
const signal = new AbortController().signal;

let directory: string;
let store: ExecutionStore;
let executions: Executions;
let underWay: Map<string, Submitter>;
/** How often the outline of an execution was read. */
let reads: number;

const submit = async (executionId: string) => {
  await store.insert({ ...SUBMISSION, executionId }, {}, submitterOf(ALICE));
  underWay.set(executionId, submitterOf(ALICE));
  return executionId;
};
const end = (id: string) => store.finish(id, failure("cancelled", "no"), NO_OUTPUT, 2);

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "airlock-polls-"));
  const opened = openSqliteStore(join(directory, "airlock.db"), "router");
  reads = 0;
  store = {
    ...opened,
    getOutline(...args) {
      reads += 1;
      return opened.getOutline(...args);
    },
  };
  underWay = new Map();
  const log = pino({ level: "silent" });
  executions = createExecutions(store, underWay, createDrain(), async () => undefined, systemClock, log);
});

afterEach(async () => {
  await store.close();
  rmSync(directory, { recursive: true });
});

describe("a long poll of an execution that this router runs", () => {
  it("a long poll of an execution that this router runs reads nothing until the execution ends or asks", async () => {
    const id = await submit("0001");
    const ended = executions.awaitAttention(ALICE, id, 10_000, signal);
    await store.start(id, 1, GRANT);
    await store.requestCancel(id);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(reads).toBe(0);
    await end(id);
    expect(await ended).toMatchObject({ status: "error" });

    const asks = await submit("0002");
    await store.start(asks, 1, GRANT);
    const asked = executions.awaitAttention(ALICE, asks, 10_000, signal);
    await store.markAwaiting(asks, { id: "llm_1", prompt: "?", model: "" }, 1);
    expect(await asked).toMatchObject({ status: "awaiting_llm" });
  });

  it("a long poll of an execution that this router runs is refused at once to strangers, as if there were none", async () => {
    const id = await submit("0001");
    for (const stranger of STRANGERS) {
      const poll = executions.awaitAttention(stranger, id, 10_000, signal);
      const ended = end(id);
      await expect(poll).rejects.toMatchObject({ code: "execution_not_found" });
      await ended;
    }
  });

  it("a long poll of an execution that this router runs reads it when its time is over", async () => {
    const id = await submit("0001");
    expect(await executions.awaitAttention(ALICE, id, 20, signal)).toMatchObject({ status: "pending" });
    expect(reads).toBe(1);
  });
});
