import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { openGateway, type TestGateway } from "../../harness/gateway.ts";
import { startServices, type TestServices } from "../../harness/services.ts";

// Long enough that no worker serves two before others have had one.
const ASK = "import time; time.sleep(1); set_result(llm.complete('which?'))";
const KILL = "import os; os.kill(os.getpid(), 9)";
const FORGE = "import os; os.write(3, b'\\xff' * 100); import time; time.sleep(60)";
// Far less than the 900 s after which a pause ends by itself; the machine may be busy.
const SOON = { timeout: 60_000 };

let services: TestServices | undefined;
let gateway: TestGateway;
afterEach(async () => {
  await gateway.stop();
  await services?.close();
});

const start = async (projects: Record<string, string>, maxWorkers: number) => {
  services = await startServices(projects, { maxWorkers });
  gateway = await openGateway(services);
};

/** How many workers there are, those on their way or ending included: each has a directory of its own. */
const workers = async () => (await readdir(join(services?.directory ?? "", "run")).catch(() => [])).length;

const statusOf = async (id: string) => (await gateway.get(id)).status;

/** Starts the project's workers, and waits for them. */
async function up(project: string, replicas: number): Promise<void> {
  await gateway.post(`/projects/${project}/up`, { replicas });
  await expect.poll(async () => (await gateway.project(project)).idle_workers, SOON).toBe(replicas);
}

/** Submits scripts that ask, and waits until each is paused. */
async function pause(project: string, count: number): Promise<string[]> {
  const ids = await Promise.all(Array.from({ length: count }, () => gateway.submit({ project, code: ASK })));
  for (const id of ids) await expect.poll(() => statusOf(id), SOON).toBe("awaiting_llm");
  return ids;
}

async function finish(project: string): Promise<void> {
  const id = await gateway.submit({ project, code: "set_result(1)" });
  await expect.poll(() => statusOf(id), SOON).toBe("completed");
}

/** Answers all at once; each goes on where it was. */
async function answer(ids: readonly string[]): Promise<void> {
  await Promise.all(ids.map((id) => gateway.respond(id, `this one: ${id}`)));
  for (const id of ids) {
    await expect.poll(() => statusOf(id), SOON).toBe("completed");
    expect(await gateway.get(id)).toMatchObject({ result: `this one: ${id}` });
  }
}

describe("paused executions", { timeout: 240_000 }, () => {
  it("paused executions of a project that has all places leave other projects and their own its turn, and go on when answered", async () => {
    await start({ demo: "replicas: 3\n", other: "" }, 3);
    await up("demo", 3);
    const ids = await pause("demo", 9);
    await finish("other");
    await finish("demo");
    await answer(ids);
    await finish("other");
    await expect.poll(workers, SOON).toBeLessThanOrEqual(3);
  });

  it("paused executions of as many projects as there are places leave further projects their turn", async () => {
    await start({ first: "", second: "", third: "", fourth: "" }, 2);
    const first = await pause("first", 1);
    const second = await pause("second", 1);
    const third = await pause("third", 1);
    await finish("fourth");
    await answer([...first, ...second, ...third]);
  });

  it.each([
    ["kill themselves", KILL],
    ["write to Airlock's own descriptor", FORGE],
  ])(
    "paused executions keep no more workers than their project may have while scripts %s",
    async (_what, code) => {
      await start({ evil: "", victim: "" }, 3);
      const ids: string[] = [];
      for (let n = 0; n < 4; n++) {
        ids.push(...(await pause("evil", 1)));
        const hostile = await gateway.submit({ project: "evil", code });
        await expect.poll(() => statusOf(hostile), SOON).toBe("error");
      }
      await finish("evil");
      // A worker that serves, and one that is to be replaced and waits for the answers of its executions.
      expect(await workers()).toBeLessThanOrEqual(2);
      await finish("victim");
      await answer(ids);
    },
  );

  it("paused executions beyond the workers that are kept for them are lost, the longest paused first", async () => {
    await start({ first: "", second: "", third: "" }, 1);
    const [longest = ""] = await pause("first", 1);
    const ids = await pause("second", 1);
    await finish("third");
    expect(await gateway.settled(longest)).toMatchObject({
      end_reason: "worker_lost",
      error: expect.stringContaining(
        "no more than 1 workers (AIRLOCK_MAX_WORKERS) are kept for paused executions alone",
      ),
    });
    await answer(ids);
  });
});
