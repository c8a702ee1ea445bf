import { type ServiceError, status } from "@grpc/grpc-js";
import { afterEach, describe, expect, it } from "vitest";
import { callUnary } from "#common/grpc/client.ts";
import { EndReason, ExecutionStatus } from "#proto/execution.ts";
import { SubmitRequest } from "#proto/router.ts";
import { openGateway, type TestGateway } from "../../harness/gateway.ts";
import { postgresMissing, startPostgres, type TestPostgres } from "../../harness/postgres.ts";
import { startServices, type TestServices } from "../../harness/services.ts";
import { retryDelayOf } from "../../support/retry-delay.ts";

const SLEEPS = "import time\nprint('started', flush=True)\ntime.sleep(60)";

let services: TestServices;
let gateway: TestGateway | undefined;
let postgres: TestPostgres | undefined;
afterEach(async () => {
  await gateway?.stop();
  await services.close();
  await postgres?.remove();
  gateway = undefined;
  postgres = undefined;
});

/** Fills a project with executions that last; resolves when one of them runs. */
async function flood(project: string, count: number): Promise<string[]> {
  const submit = () => services.submit({ project, code: SLEEPS });
  const first = await submit();
  await expect.poll(async () => (await services.get(first)).stdout, { timeout: 20_000 }).toBe("started\n");
  return [first, ...(await Promise.all(Array.from({ length: count - 1 }, submit)))];
}

describe("a project whose queue is full", () => {
  it("a project whose queue is full answers 429 with the numbers and Retry-After, and accepts more when one has ended", async () => {
    services = await startServices({ small: "replicas: 1\nlimits: {queue: 4}\n" });
    gateway = await openGateway(services);
    const [first = ""] = await flood("small", 4);
    const refused = await gateway.post("/execute", { project: "small", code: "pass" });
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await refused.json()).toMatchObject({
      code: "queue_full",
      detail:
        'Project "small" already has 4 executions that have not ended, and its limit is 4. 3 of the project\'s wait for a worker and would be before this one. Wait for some to end, then submit again.',
    });
    const overGrpc = await new Promise<ServiceError>((resolve, reject) => {
      const request = SubmitRequest.fromPartial({ project: "small", code: "pass" });
      services.router.submit(request, (error) => (error ? resolve(error) : reject(new Error("accepted"))));
    });
    expect(overGrpc.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(retryDelayOf(overGrpc)).toBe(Number(refused.headers.get("retry-after")));
    await gateway.cancel(first);
    expect((await gateway.post("/execute", { project: "small", code: "pass" })).status).toBe(202);
  });
});

describe("when all projects together are full", () => {
  it("a project that floods is refused when all projects together are full, and the others go on", async () => {
    services = await startServices(
      { flood: "replicas: 1\n", quiet: "replicas: 1\n", other: "replicas: 1\n" },
      { maxUnfinished: 20 },
    );
    gateway = await openGateway(services);
    await flood("flood", 20);
    for (const project of ["quiet", "other"]) {
      const refused = await gateway.post("/execute", { project: "flood", code: "pass" });
      expect(refused.status).toBe(429);
      expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
      expect(await refused.json()).toMatchObject({
        code: "queue_full",
        detail: expect.stringMatching(
          /^All projects together already have \d+ executions .+ limit is 20; 20 are of project "flood"\. 19 of the project's wait/,
        ),
      });
      expect(await gateway.run({ project, code: "set_result('served')" })).toMatchObject({
        result: "served",
      });
    }
    // Each has its share of the whole, and no more than that.
    const statuses: number[] = [];
    for (let n = 0; n < 11; n++) {
      statuses.push((await gateway.post("/execute", { project: "quiet", code: SLEEPS })).status);
    }
    expect(statuses).toEqual([...Array(10).fill(202), 429]);
    expect((await gateway.post("/execute", { project: "other", code: "pass" })).status).toBe(202);
  });
});

describe("one project's flood", () => {
  it("a flood of one project does not delay another project", async () => {
    services = await startServices({ flood: "replicas: 1\n", quiet: "replicas: 1\n" });
    const flooding = await flood("flood", 500);
    for (let n = 0; n < 3; n++) {
      const id = await services.submit({ project: "quiet", code: `set_result(${n})` });
      expect((await services.get(id, 20_000)).resultJson).toBe(String(n));
    }
    const last = await services.get(flooding.at(-1) ?? "");
    expect(last.status).toBe(ExecutionStatus.PENDING);
  });

  const missing = postgresMissing();
  it("a flood of one project does not delay another project when a router takes over from another", async (context) => {
    if (missing) context.skip(missing);
    postgres = await startPostgres();
    const { config } = await postgres.newDatabase();
    services = await startServices({ flood: "replicas: 1\n", quiet: "replicas: 1\n" }, { database: config });
    const second = await services.addRouter();
    const submit = async (project: string, code: string) => {
      const request = SubmitRequest.fromPartial({ project, code });
      const { client } = second;
      const { execution } = await callUnary(client, client.submit, request, "router", {
        timeoutMs: 20_000,
      });
      return execution?.executionId ?? "";
    };
    const flooding: string[] = [];
    // All at once would wait for connections to the database longer than one may.
    for (let n = 0; n < 300; n += 50) {
      flooding.push(...(await Promise.all(Array.from({ length: 50 }, () => submit("flood", SLEEPS)))));
    }
    // It waits behind its own project's long run when its router goes, and is younger than all of the flood.
    const ahead = await submit("quiet", SLEEPS.replace("60", "5"));
    await expect.poll(async () => (await services.get(ahead)).stdout, { timeout: 20_000 }).toBe("started\n");
    const id = await submit("quiet", "set_result('served')");
    await second.stop(0);
    expect(await services.get(id, 60_000)).toMatchObject({
      endReason: EndReason.COMPLETED,
      resultJson: '"served"',
    });
    // The run was taken over and went on.
    expect(await services.get(ahead)).toMatchObject({ endReason: EndReason.COMPLETED });
    expect((await services.get(flooding.at(-1) ?? "")).status).toBe(ExecutionStatus.PENDING);
  }, 90_000);
});
