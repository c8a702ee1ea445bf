import { chown, lstat, mkdir, readdir, rm, stat, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { readEmbeddedConfig } from "../../../cli/embedded/config.ts";
import { runAirlock, startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { rootMissing } from "../../support/root-missing.ts";

const started: TestAirlock[] = [];
const start = async (options: Parameters<typeof startAirlock>[0] = {}) => {
  const airlock = await startAirlock(options);
  started.push(airlock);
  return airlock;
};
afterEach(async () => {
  for (const airlock of started.splice(0).reverse()) await airlock.remove();
});

const runDirectoryOf = ({ dataDirectory }: TestAirlock) =>
  readEmbeddedConfig(["--data", dataDirectory], process.env).runDirectory;

async function submit({ url }: TestAirlock, code: string): Promise<string> {
  const response = await fetch(`${url}/execute`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ project: "demo", code }),
  });
  return ((await response.json()) as { poll_url: string }).poll_url;
}

async function poll({ url }: TestAirlock, path: string): Promise<{ status: string; result: unknown }> {
  return (await (await fetch(`${url}${path}?wait=20`)).json()) as { status: string; result: unknown };
}

const isReady = async ({ url }: TestAirlock) => (await fetch(`${url}/ready`)).status;

describe("a data directory", () => {
  it("a data directory belongs to one Airlock until it has ended: a second one waits, and the first keeps its sockets", async () => {
    const first = await start();
    const path = await submit(first, "import time; time.sleep(9); set_result('finished')");
    const text = async () => await (await fetch(first.url + path)).text();
    await expect.poll(text).toContain('"status":"running"');
    process.kill(first.pid, "SIGTERM");
    const second = await start({ directory: first.directory, projects: {} });
    // The first has ended when the second is up.
    expect(() => process.kill(first.pid, 0)).toThrow("ESRCH");
    expect(second.output()).toContain(
      `Another Airlock (process ${first.pid}) is stopping in this data directory; waiting for it to end.`,
    );
    expect(await poll(second, path)).toMatchObject({ status: "completed", result: "finished" });
    expect(await isReady(second)).toBe(200);
    expect(await poll(second, await submit(second, "set_result(1)"))).toMatchObject({ result: 1 });
  });

  it("a data directory is refused to a second Airlock, also by another path, and the first loses nothing", async () => {
    const first = await start();
    const link = join(first.directory, "link");
    await symlink(first.dataDirectory, link);
    for (const data of [first.dataDirectory, link]) {
      const startedMs = performance.now();
      const { status, stderr } = await runAirlock(["up", "--port", "0", "--data", data]);
      expect([status, stderr]).toEqual([
        2,
        `Another Airlock (process ${first.pid}) already uses this data directory; stop it, or give this one its own with --data DIR.\n`,
      ]);
      expect(performance.now() - startedMs).toBeLessThan(15_000);
    }
    expect(await isReady(first)).toBe(200);
    expect(await poll(first, await submit(first, "set_result(1)"))).toMatchObject({ result: 1 });
  });

  it("a data directory is free at once when its Airlock was killed", async () => {
    const first = await start();
    await first.kill();
    const second = await start({ directory: first.directory, projects: {} });
    expect(second.output()).not.toContain("Another Airlock");
    expect(await isReady(second)).toBe(200);
  });

  it("a data directory that is removed under a running Airlock leaves it its sockets", async () => {
    const first = await start();
    await rm(first.dataDirectory, { recursive: true });
    const { status, stderr } = await runAirlock(["up", "--port", "0", "--data", first.dataDirectory]);
    expect([status, stderr]).toEqual([2, expect.stringContaining("still serves the sockets")]);
    expect((await readdir(runDirectoryOf(first))).filter((name) => name.endsWith(".sock"))).toHaveLength(6);
  });

  it("a data directory goes to one of two Airlocks that start at the same moment, and the other is refused", async () => {
    const first = await start();
    await first.stop();
    const both = await Promise.allSettled(
      [0, 1].map(() => start({ directory: first.directory, projects: {} })),
    );
    expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    const [winner] = both.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    expect(await isReady(winner as TestAirlock)).toBe(200);
  });
});

const missing = rootMissing();

describe.skipIf(missing)(`the directory for sockets${missing ? ` (${missing})` : ""}`, () => {
  it("the directory for sockets cannot be taken away by a user who made it first", async () => {
    const first = await start();
    const taken = runDirectoryOf(first);
    await first.stop();
    await mkdir(taken, { mode: 0o777 });
    try {
      await chown(taken, 65_534, 65_534);
      const second = await start({ directory: first.directory, projects: {} });
      expect(await isReady(second)).toBe(200);
      expect(await readdir(taken)).toEqual([]);
      await second.kill();
      const third = await start({ directory: first.directory, projects: {} });
      const own = (await readdir(dirname(taken))).filter((name) =>
        join(dirname(taken), name).startsWith(`${taken}-`),
      );
      // The files that the killed Airlock left are removed.
      expect(own).toHaveLength(1);
      expect((await stat(join(dirname(taken), own[0] as string))).mode & 0o777).toBe(0o700);
      await third.stop();
      await expect(lstat(join(dirname(taken), own[0] as string))).rejects.toMatchObject({ code: "ENOENT" });
    } finally {
      await rm(taken, { recursive: true });
    }
  });
});
