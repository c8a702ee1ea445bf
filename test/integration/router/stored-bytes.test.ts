import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EndReason, ExecutionStatus } from "#proto/execution.ts";
import { openGateway, type TestGateway } from "../../harness/gateway.ts";
import { postgresMissing, startPostgres, type TestPostgres } from "../../harness/postgres.ts";
import { startServices, type TestServices } from "../../harness/services.ts";

const MIB = 1024 * 1024;
// The lowest limit that a project with small outputs may have is 19 MB.
const SMALL = "limits: {max_output_mb: 0.5, max_result_mb: 0.5, stored_mb: 20}\n";
const SLEEPS = "import time\ntime.sleep(60)";
const memoryOf = (mb: number) => ({ a: { b: "x".repeat(mb * MIB) } });

let services: TestServices | undefined;
let gateway: TestGateway | undefined;
let postgres: TestPostgres | undefined;
afterEach(async () => {
  await gateway?.stop();
  await services?.close();
  await postgres?.remove();
  services = undefined;
  gateway = undefined;
  postgres = undefined;
});

type Body = { project: string; code: string; memory?: Record<string, Record<string, unknown>> };

function execute(body: Body, key?: string): Promise<Response> {
  const headers = { "content-type": "application/json", ...(key && { "idempotency-key": key }) };
  return fetch(`${gateway?.url}/execute`, { method: "POST", headers, body: JSON.stringify(body) });
}

/** The HTTP status that an execution is shown with. */
async function statusOf(id: string | undefined): Promise<number> {
  const response = await fetch(`${gateway?.url}/executions/${id}`);
  await response.body?.cancel();
  return response.status;
}

async function storedBy(project: string): Promise<number> {
  const metric = new RegExp(`^airlock_stored_bytes{project="${project}"} (\\d+)$`, "m");
  return Number(metric.exec((await services?.routerMetrics()) ?? "")?.[1] ?? 0);
}

/** Runs `count` executions with 4 MB of memory each, one after the other; returns their ids. */
async function fill(project: string, count: number, key?: string): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < count; n++) {
    const body = { project, code: "print('done')", memory: memoryOf(4) };
    const response = await execute(body, n === 0 ? key : undefined);
    expect(response.status).toBe(202);
    const { execution_id: id } = (await response.json()) as { execution_id: string };
    expect(await services?.get(id, 30_000)).toMatchObject({ status: ExecutionStatus.COMPLETED });
    ids.push(id);
  }
  return ids;
}

describe.each([
  ["SQLite", false],
  ["PostgreSQL", true],
] as const)("the storage of a project (%s)", { timeout: 60_000 }, (_name, isPostgres) => {
  const missing = isPostgres ? postgresMissing() : undefined;
  beforeEach((context) => {
    if (missing) context.skip(missing);
  });
  const start = async (projects: Record<string, string>, options = {}) => {
    if (isPostgres) postgres = await startPostgres();
    const database = postgres && (await postgres.newDatabase()).config;
    services = await startServices(projects, { ...(database && { database }), ...options });
    gateway = await openGateway(services);
    return services;
  };

  it("the storage of a project stays within its limit: its oldest ended executions go first", async () => {
    await start({ small: SMALL, quiet: "" });
    const [quiet = ""] = await fill("quiet", 1);
    const ids = await fill("small", 8, "first-one");
    await expect.poll(() => storedBy("small")).toBeLessThanOrEqual(20 * MIB);
    const statuses = await Promise.all(ids.map(statusOf));
    expect(statuses.slice(0, 4)).toEqual(Array(4).fill(404));
    expect(statuses.slice(-2)).toEqual([200, 200]);
    expect(await statusOf(quiet)).toBe(200);
    // A forgotten execution is not run a second time.
    const again = { project: "small", code: "print('done')", memory: memoryOf(4) };
    const replay = await execute(again, "first-one");
    expect(replay.status).toBe(410);
    expect(await replay.json()).toMatchObject({
      code: "execution_forgotten",
      detail: expect.stringContaining("make room"),
    });
    expect(await services?.routerMetrics()).toMatch(
      /^airlock_executions_removed_total{project="small"} [45]$/m,
    );
  });

  it("the storage of a project refuses with 429 when no ended execution is left, until something ends", async () => {
    await start({ small: SMALL, quiet: "" });
    const submit = (project: string) => execute({ project, code: SLEEPS, memory: memoryOf(6) });
    const accepted = await Promise.all([submit("small"), submit("small"), submit("small")]);
    expect(accepted.map((response) => response.status)).toEqual([202, 202, 202]);
    const refused = await submit("small");
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await refused.json()).toMatchObject({
      code: "storage_full",
      detail:
        'Project "small" stores 18 MB and its limit is 20 MB (limits: stored_mb), so there is no room for the 6 MB of this request: executions that have not ended take all of it. Wait for some to end or cancel them, then submit again.',
    });
    expect(await gateway?.run({ project: "quiet", code: "set_result(1)" })).toMatchObject({ result: 1 });
    const { execution_id: first } = (await (accepted[0] as Response).json()) as { execution_id: string };
    await gateway?.cancel(first);
    expect((await submit("small")).status).toBe(202);
    expect(await statusOf(first)).toBe(404);
  });

  it("the storage of a project lets no more in when many submit at once", async () => {
    await start({ small: SMALL });
    const answers = await Promise.all(
      Array.from({ length: 30 }, () => execute({ project: "small", code: SLEEPS, memory: memoryOf(1) })),
    );
    const accepted = answers.filter(({ status }) => status === 202).length;
    expect(accepted).toBeLessThanOrEqual(19);
    // A submission that is being stored may count twice for a moment.
    expect(accepted).toBeGreaterThan(14);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(30 - accepted);
    await expect.poll(() => storedBy("small")).toBeGreaterThan(14 * MIB);
    expect(await storedBy("small")).toBeLessThanOrEqual(20 * MIB);
  });

  it("the storage of all projects together is bounded, and the project that stores most gives way", async () => {
    await start({ flood: "", quiet: "" }, { maxStoredBytes: 30 * MIB });
    const [quiet = ""] = await fill("quiet", 1);
    const ids = await fill("flood", 8);
    await expect
      .poll(async () => (await storedBy("flood")) + (await storedBy("quiet")))
      .toBeLessThan(30 * MIB);
    expect(await statusOf(quiet)).toBe(200);
    expect(await statusOf(ids[0])).toBe(404);
    expect(await statusOf(ids.at(-1))).toBe(200);
  });

  it("the storage of a project counts a script's output, and an execution that ends when all is full is kept", async () => {
    const limits = "limits: {max_output_mb: 8, max_result_mb: 0.5, stored_mb: 34}\n";
    await start({ writes: limits });
    const code = "print('x' * 7_900_000)\nimport sys\nsys.stderr.write('x' * 7_900_000)";
    const run = async () => (await gateway?.run({ project: "writes", code }))?.execution_id as string;
    const ids = [await run(), await run(), await run()];
    await expect.poll(() => storedBy("writes")).toBeLessThanOrEqual(34 * MIB);
    await expect.poll(() => statusOf(ids[0])).toBe(404);
    expect(await services?.get(ids[2] as string)).toMatchObject({ endReason: EndReason.COMPLETED });
  });
});

describe("GET /projects/NAME", () => {
  it("GET /projects/NAME shows the limit of a project's storage", async () => {
    services = await startServices({ small: SMALL, usual: "" });
    gateway = await openGateway(services);
    const limitOf = async (name: string) => (await gateway?.project(name))?.limits?.stored_mb;
    expect([await limitOf("small"), await limitOf("usual")]).toEqual([20, 1_000]);
  });
});
