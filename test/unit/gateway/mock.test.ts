import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { END_REASONS, STATUS_BY_END_REASON } from "#common/execution-names.ts";
import type { Principal } from "#common/identity/principal.ts";
import { SubmitRequest } from "#proto/router.ts";
import { createMockBackends } from "../../../gateway/backends/mock/backends.ts";
import { startMockGateway } from "../../../gateway/mock.ts";
import type { RunningGateway } from "../../../gateway/serve.ts";
import { principal } from "../../harness/principals.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";

let gateway: RunningGateway;
let rest: RestClient;

beforeAll(async () => {
  gateway = await startMockGateway({ host: "127.0.0.1", port: 0 }, pino({ level: "silent" }));
  rest = restClient(`http://127.0.0.1:${gateway.port}`);
});
afterAll(async () => {
  await gateway.drain(100);
});

const project = "mock-project";
const post = (code: string) => rest.post("/execute", { project, code });

describe("an idempotency key of the mock", () => {
  it("an idempotency key of the mock is its principal's own", async () => {
    const { router, close } = createMockBackends();
    const request = SubmitRequest.fromPartial({ project, code: "pass", idempotencyKey: "once" });
    const idFor = async (who: Principal) => (await router.submit(request, { principal: who })).executionId;
    const [alice, other] = [principal("key:alice", "developer"), principal("key:other", "developer")];
    const first = await idFor(alice);
    expect(await idFor(alice)).toBe(first);
    const ids = [first, await idFor(other), await idFor({ ...alice, tenant: "acme" })];
    expect(new Set(ids).size).toBe(3);
    close();
  });
});

describe("a script for the mock", () => {
  it.each(END_REASONS)("a script for the mock ends as %s when a comment asks for it", async (reason) => {
    const execution = await rest.run({ project, code: `print(1)\n  # mock: ${reason}\n` });
    expect(execution).toMatchObject({ end_reason: reason, status: STATUS_BY_END_REASON[reason] });
    if (reason === "completed") expect(execution.error).toBeNull();
    else expect([execution.error, execution.result]).toEqual([expect.stringMatching(/\w/), null]);
  });

  it("a script for the mock has the result and the output that it asks for", async () => {
    const id = await rest.submit({
      project,
      code: '# mock: result {"big": 9223372036854775809, "x": 1.0}\n# mock: stdout two words',
    });
    expect(await rest.settledText(id)).toContain(
      '"result":{"big": 9223372036854775809, "x": 1.0},"stdout":"two words\\n"',
    );
  });

  it("a script for the mock runs for as long as it asks, and a poll waits meanwhile", async () => {
    const startedMs = performance.now();
    const id = await rest.submit({ project, code: "# mock: running 0.6\n# mock: timeout" });
    expect((await rest.get(id)).status).toBe("running");
    expect((await rest.get(id, 0.2)).status).toBe("running");
    expect((await rest.get(id, 20)).status).toBe("timeout");
    const tookMs = performance.now() - startedMs;
    expect(tookMs).toBeGreaterThan(550);
    expect(tookMs).toBeLessThan(10_000);
  });

  it("a script for the mock is pending without a wait, and shows its current status when a wait is over", async () => {
    const code = "# mock: running 60";
    for (const [wait, status] of [
      ["0", "pending"],
      ["0.3", "running"],
    ]) {
      const answer = await rest.post(`/execute?wait=${wait}`, { project, code });
      expect([answer.status, ((await answer.json()) as { status: string }).status]).toEqual([202, status]);
    }
  });

  it("a script for the mock can be cancelled while it runs, and stays as it ended", async () => {
    const id = await rest.submit({ project, code: "# mock: running 0.3" });
    await rest.cancel(id);
    expect((await rest.get(id, 1)).end_reason).toBe("cancelled");
    await rest.run({ project, code: "# mock: running 0.5" });
    expect((await rest.get(id)).end_reason).toBe("cancelled");
  });

  it("a script for the mock runs and ends as its comments say after its question was answered", async () => {
    const id = await rest.submit({
      project,
      code: "llm.complete('?')\n# mock: running 0.2\n# mock: out_of_memory",
    });
    expect((await rest.get(id)).llm_request?.prompt).toBe("?");
    await rest.respond(id, "yes");
    expect((await rest.get(id)).status).toBe("running");
    expect((await rest.settled(id)).end_reason).toBe("out_of_memory");
  });

  it("a script for the mock asks all of its questions, one after the other, of the model that it names", async () => {
    const code = 'first = llm.complete("One?")\nllm.complete(f"{first}", model="big")\nllm.complete(first)';
    const id = await rest.submit({ project, code });
    const asked = [];
    for (let n = 0; n < 3; n++) {
      const { llm_request: question } = await rest.settled(id);
      asked.push([question?.prompt, question?.model]);
      await rest.respond(id, "yes", question?.id);
    }
    expect(asked).toEqual([
      ["One?", "default"],
      ["A prompt that the script computes", "default"],
      ["A prompt that the script computes", "default"],
    ]);
    expect((await rest.settled(id)).status).toBe("completed");
    const named = await rest.submit({ project, code: 'llm.complete("q", model="big")' });
    expect((await rest.settled(named)).llm_request).toMatchObject({ prompt: "q", model: "big" });
  });

  it("a script for the mock waits in the queue for as long as it asks, and reports the running time that it names", async () => {
    const id = await rest.submit({ project, code: "# mock: pending 0.4\n# mock: running 0.2" });
    expect(await rest.get(id)).toMatchObject({
      status: "pending",
      started_at: null,
      execution_time_ms: null,
      waiting_on: { kind: "queue", queue_position: 1 },
    });
    expect(await rest.settled(id)).toMatchObject({
      status: "completed",
      execution_time_ms: 200,
      waiting_on: null,
    });
  });

  it("a script for the mock has stderr and memory updates, and its comments may stand behind code", async () => {
    const memory = '{"a": {"b": 1.50}}';
    const code = `x = 1  # mock: stderr a warning\n# mock: memory_updates ${memory}`;
    const text = await rest.settledText(await rest.submit({ project, code }));
    expect(text).toContain('"stderr":"a warning\\n"');
    expect(text).toContain(`"memory_updates":${memory}`);
  });

  it("a script for the mock can be retried when its end_reason would be Airlock's own fault", async () => {
    const list = async () => {
      const answer = await fetch(`${rest.url}/dead-letters?limit=1`);
      return ((await answer.json()) as { dead_letters: Record<string, unknown>[] }).dead_letters[0];
    };
    const { execution_id: id } = await rest.run({ project, code: "# mock: worker_lost" });
    expect(await list()).toMatchObject({ execution_id: id, end_reason: "worker_lost", retried_as: [] });
    const retried = await rest.post(`/dead-letters/${id}/retry`, {});
    const { execution_id: again } = (await retried.json()) as { execution_id: string };
    expect((await rest.settled(again)).end_reason).toBe("worker_lost");
    expect((await rest.post(`/dead-letters/${id}/retry`, {})).status).toBe(409);
    expect((await rest.post(`/dead-letters/${id}/retry`, { again: true })).status).toBe(202);
    const repeats = await (await fetch(`${rest.url}/executions?retry_of=${id}`)).json();
    expect((repeats as { executions: unknown[] }).executions).toHaveLength(2);
    const { execution_id: mine } = await rest.run({ project, code: "# mock: timeout" });
    const refused = await (await rest.post(`/dead-letters/${mine}/retry`, {})).json();
    expect((refused as { detail: string }).detail).toContain("ended as timeout");
  });

  it.each([
    ["queue_full", 429],
    ["storage_full", 429],
    ["overloaded", 503],
    ["unavailable", 503],
  ])("a script for the mock is refused as %s with Retry-After", async (code, status) => {
    const answer = await post(`# mock: refuse ${code}`);
    expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([status, code]);
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
  });

  it("a script for the mock is accepted after as many refusals as it asks for", async () => {
    const statuses: number[] = [];
    for (let n = 0; n < 4; n++) statuses.push((await post("# mock: refuse queue_full 2")).status);
    expect(statuses).toEqual([429, 429, 202, 202]);
    expect((await post("# mock: refuse queue_full 2 # another")).status).toBe(422);
  });

  it.each([
    "nonsense",
    "result {",
    "result",
    "running soon",
    "running 601",
    "refuse",
    "refuse all",
    "",
    "pending x",
    "memory_updates [1]",
  ])("a script for the mock is refused with the known directives when it asks for %j", async (asked) => {
    const answer = await post(`# mock: ${asked}`);
    expect(answer.status).toBe(422);
    expect(((await answer.json()) as { detail: string }).detail).toContain(
      "It knows: an end reason (completed, ",
    );
  });
});
