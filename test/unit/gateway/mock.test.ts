import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startMockGateway } from "../../../gateway/mock.ts";
import type { RunningGateway } from "../../../gateway/serve.ts";
import { END_REASONS, STATUS_BY_END_REASON } from "../../../services/common/execution-names.ts";
import { type RestClient, restClient } from "../../support/rest.ts";

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

describe("a script for the mock", () => {
  it.each(END_REASONS)("ends as %s when a comment asks for it", async (reason) => {
    const execution = await rest.run({ project, code: `print(1)\n  # mock: ${reason}\n` });
    expect(execution).toMatchObject({ end_reason: reason, status: STATUS_BY_END_REASON[reason] });
    if (reason === "completed") expect(execution.error).toBeNull();
    else expect([execution.error, execution.result]).toEqual([expect.stringMatching(/\w/), null]);
  });

  it("has the result and the output that it asks for", async () => {
    const id = await rest.submit({
      project,
      code: '# mock: result {"big": 9223372036854775809, "x": 1.0}\n# mock: stdout two words',
    });
    expect(await rest.settledText(id)).toContain(
      '"result":{"big": 9223372036854775809, "x": 1.0},"stdout":"two words\\n"',
    );
  });

  it("runs for as long as it asks, and a poll is held meanwhile", async () => {
    const startedMs = performance.now();
    const id = await rest.submit({ project, code: "# mock: running 0.6\n# mock: timeout" });
    expect((await rest.get(id)).status).toBe("running");
    expect((await rest.get(id, 0.2)).status).toBe("running");
    expect((await rest.get(id, 20)).status).toBe("timeout");
    const tookMs = performance.now() - startedMs;
    expect(tookMs).toBeGreaterThan(550);
    expect(tookMs).toBeLessThan(10_000);
  });

  it("can be cancelled while it runs, and stays as it ended", async () => {
    const id = await rest.submit({ project, code: "# mock: running 0.3" });
    expect((await rest.cancel(id)).status).toBe(200);
    expect((await rest.get(id, 1)).end_reason).toBe("cancelled");
    await rest.run({ project, code: "# mock: running 0.5" });
    expect((await rest.get(id)).end_reason).toBe("cancelled");
  });

  it("plays its part after its question was answered", async () => {
    const id = await rest.submit({
      project,
      code: "llm.complete('?')\n# mock: running 0.2\n# mock: out_of_memory",
    });
    expect((await rest.get(id)).llm_request?.prompt).toBe("?");
    expect((await rest.respond(id, "yes")).status).toBe(200);
    expect((await rest.get(id)).status).toBe("running");
    expect((await rest.settled(id)).end_reason).toBe("out_of_memory");
  });

  it.each([
    ["queue_full", 429],
    ["storage_full", 429],
    ["overloaded", 503],
    ["unavailable", 503],
  ])("is refused as %s with Retry-After", async (code, status) => {
    const answer = await post(`# mock: refuse ${code}`);
    expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([status, code]);
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
  });

  it("is accepted once it was refused as often as it asks", async () => {
    const statuses: number[] = [];
    for (let n = 0; n < 4; n++) statuses.push((await post("# mock: refuse queue_full 2")).status);
    expect(statuses).toEqual([429, 429, 202, 202]);
    expect((await post("# mock: refuse queue_full 2 # another")).status).toBe(422);
  });

  it.each(["nonsense", "result {", "result", "running soon", "running 601", "refuse", "refuse all"])(
    "is refused with what the mock knows when it asks for %j",
    async (asked) => {
      const answer = await post(`# mock: ${asked}`);
      expect(answer.status).toBe(422);
      expect(((await answer.json()) as { detail: string }).detail).toContain(
        "It knows: an end reason (completed, ",
      );
    },
  );
});
