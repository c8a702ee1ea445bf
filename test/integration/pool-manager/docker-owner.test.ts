import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { pino } from "pino";
import { afterEach, expect, it } from "vitest";
import { ConfigError } from "#common/service/environment.ts";
import { openEngine } from "../../../services/pool-manager/drivers/docker/engine.ts";
import { LABEL, namesOf } from "../../../services/pool-manager/drivers/docker/names.ts";
import { type Ownership, ownDeployment } from "../../../services/pool-manager/drivers/docker/owner.ts";
import { isRunning, ownIdentity } from "../../../services/pool-manager/drivers/process-identity.ts";
import { describeWithEngine, docker, removeDeployment } from "../../harness/docker/classes.ts";

const names = namesOf(`owner-${process.pid}`);
const log = pino({ level: "silent" });
const ENGINE_CALLS = { timeout: 60_000 };

await describeWithEngine("the right to a deployment", "runc", () => {
  const own = () => ownDeployment(openEngine(), names, log);
  const announcements = async () => {
    const filters = JSON.stringify(names.filter());
    return ((await docker.listVolumes({ filters })).Volumes ?? []).map(({ Name }) => Name);
  };
  const announced = async (owner: unknown) => {
    const Labels = { [LABEL.deployment]: names.deployment, [LABEL.owner]: JSON.stringify(owner) };
    return (await docker.createVolume({ Name: names.owner("test"), Labels })).name;
  };
  afterEach(() => removeDeployment(names.deployment));

  it(
    "the right to a deployment belongs to one pool-manager until it is released, and leaves nothing in the engine",
    ENGINE_CALLS,
    async () => {
      const first = await own();
      const refusal = await own().catch((error: unknown) => error);
      expect(refusal).toBeInstanceOf(ConfigError);
      expect(String(refusal)).toMatch(
        /Another pool-manager \(process \d+ on .*\) manages the deployment "owner-/,
      );
      await first.release();
      await (await own()).release();
      expect(await announcements()).toEqual([]);
    },
  );

  it(
    "the right to a deployment goes to one of many pool-managers that ask in the same moment, never to two",
    ENGINE_CALLS,
    async () => {
      const asked = await Promise.allSettled(Array.from({ length: 6 }, own));
      const owners = asked.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
      expect(owners.length).toBeLessThanOrEqual(1);
      const owner: Ownership = owners[0] ?? (await own());
      expect(await announcements()).toHaveLength(1);
      await owner.release();
    },
  );

  it.each([
    ["a process that has ended", async () => ({ ...ownIdentity(), pid: await endedProcess() })],
    ["a process whose number another one has", async () => ({ ...ownIdentity(), startedAt: "1" })],
    ["a process before this machine was started", async () => ({ ...ownIdentity(), boot: "before" })],
    ["a container that is gone", async () => ({ container: "0".repeat(64), startedAt: "x" })],
    [
      "a container that was started again since",
      async () => ({ container: await runningContainer(), startedAt: "x" }),
    ],
  ])("the right to a deployment is taken over from %s", ENGINE_CALLS, async (_, owner) => {
    const stale = await announced(await owner());
    const next = await own();
    expect(await announcements()).not.toContain(stale);
    expect(await announcements()).toHaveLength(1);
    await next.release();
  });

  it("the right to a deployment stays with a container that runs", ENGINE_CALLS, async () => {
    const container = await runningContainer();
    const { State } = await docker.getContainer(container).inspect();
    await announced({ container, startedAt: State.StartedAt });
    await expect(own()).rejects.toThrow(`container ${container.slice(0, 12)}`);
  });

  it(
    "the right to a deployment stays with a process that cannot be seen, and the refusal says what to do when it has ended",
    ENGINE_CALLS,
    async () => {
      const volume = await announced({ ...ownIdentity(), machine: "elsewhere", boot: "another" });
      await expect(own()).rejects.toThrow(`If it has ended, docker volume rm ${volume}.`);
    },
  );

  async function runningContainer(): Promise<string> {
    const container = await docker.createContainer({
      Image: "python:3.12-slim",
      Cmd: ["sleep", "60"],
      Labels: names.labels("none"),
      HostConfig: { Init: true, NetworkMode: "none" },
    });
    await container.start();
    return container.id;
  }
});

async function endedProcess(): Promise<number> {
  const child = spawn("true");
  await once(child, "exit");
  return child.pid as number;
}

it("a process counts as running until it is dead, also while its parent has not read its exit status", async () => {
  const other = spawn("sh", ["-c", "sleep 60 & echo $!; exec sleep 60"]);
  const [line] = (await once(other.stdout, "data")) as [Buffer];
  const pid = Number(String(line));
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
  const identity = { ...ownIdentity(), pid, startedAt: stat[19] as string };
  expect(isRunning(identity)).toBe(true);
  // Its parent, which became another program, never asks.
  process.kill(pid, "SIGKILL");
  await expect.poll(() => isRunning(identity)).toBe(false);
  other.kill("SIGKILL");
});
