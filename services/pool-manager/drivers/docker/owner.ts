import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type Docker from "dockerode";
import { ConfigError } from "#common/service/environment.ts";
import type { Log } from "#common/service/log.ts";
import { isRunning, ownIdentity, type ProcessIdentity } from "../process-identity.ts";
import { ask, unlessGone } from "./engine.ts";
import { type DeploymentNames, LABEL } from "./names.ts";

/**
 * The identity of a pool-manager: a container of this engine with the time of its start, or a process of any
 * machine.
 */
type Owner = { readonly container: string; readonly startedAt: string } | ProcessIdentity;

/**
 * The exclusive right of one pool-manager process to a deployment's containers and networks, until `release`.
 */
export type Ownership = { release(): Promise<void> };

// Attempts to become the only pool-manager. Two that start at the same moment may both withdraw. Each then
// waits for a random time, so that one of them comes first in the next attempt.
const ATTEMPTS = 5;
const LONGEST_STEP_BACK_MS = 600;
// Milliseconds between two announcements of this pool-manager. The volume that announces it is made again and
// again, because an operator may prune volumes that no container uses.
const ANNOUNCE_EVERY_MS = 30_000;
// Finds the id of the container in which this process runs, in /proc/self/mountinfo.
const OWN_CONTAINER = /\/containers\/([0-9a-f]{64})\/(?:hostname|hosts|resolv\.conf) /;

/**
 * Makes this process the only pool-manager of the deployment on its engine. Each pool-manager first announces
 * itself with an empty volume, and then looks for volumes of others. Of two at the same time, at least one
 * sees the other, removes its own volume and tries again. A volume's label names its process, so that the
 * volume of a killed process can be ignored. Rejects with a ConfigError while another pool-manager of the
 * deployment runs.
 */
export async function ownDeployment(docker: Docker, names: DeploymentNames, log: Log): Promise<Ownership> {
  const owner = await whoAmI(docker);
  const name = names.owner(randomUUID());
  const Labels = { [LABEL.deployment]: names.deployment, [LABEL.owner]: JSON.stringify(owner) };
  const announce = () => ask((abortSignal) => docker.createVolume({ Name: name, Labels, abortSignal }));
  for (let attempt = 1; ; attempt++) {
    await announce();
    const other = await findOther(docker, names, name);
    if (!other) break;
    await remove(docker, name);
    if (attempt === ATTEMPTS) throw new ConfigError([refusal(names, other)]);
    await delay(Math.random() * LONGEST_STEP_BACK_MS);
  }
  const timer = setInterval(() => {
    announce().catch((error: unknown) =>
      log.warn({ err: error }, "this pool-manager could not be announced"),
    );
  }, ANNOUNCE_EVERY_MS).unref();
  return {
    async release() {
      clearInterval(timer);
      await remove(docker, name).catch((error: unknown) =>
        // The failure is only logged, because the next pool-manager sees that the announced process has
        // ended.
        log.warn({ err: error }, "the announcement of this pool-manager could not be removed"),
      );
    },
  };
}

type Other = { readonly volume: string; readonly owner: Owner; readonly isSeen: boolean };

/**
 * Another pool-manager of this deployment that runs, or that may run because it cannot be seen from here;
 * undefined when there is none. Removes the announcements of pool-managers that have ended.
 */
async function findOther(docker: Docker, names: DeploymentNames, own: string): Promise<Other | undefined> {
  const filters = JSON.stringify({ label: [`${LABEL.deployment}=${names.deployment}`, LABEL.owner] });
  const { Volumes } = await ask((abortSignal) => docker.listVolumes({ filters, abortSignal }));
  for (const { Name, Labels } of Volumes ?? []) {
    if (Name === own) continue;
    const owner = JSON.parse(Labels?.[LABEL.owner] ?? "") as Owner;
    const running = "container" in owner ? await isRunningContainer(docker, owner) : isRunning(owner);
    if (running !== false) return { volume: Name, owner, isSeen: running === true };
    await remove(docker, Name);
  }
  return undefined;
}

async function isRunningContainer(
  docker: Docker,
  { container, startedAt }: { container: string; startedAt: string },
): Promise<boolean> {
  const info = await unlessGone(ask(() => docker.getContainer(container).inspect()));
  return info?.State.Running === true && info.State.StartedAt === startedAt;
}

async function whoAmI(docker: Docker): Promise<Owner> {
  const container = OWN_CONTAINER.exec(mounts())?.[1];
  // The container of this process may belong to another engine. The process is then identified by its pid and
  // machine.
  const known =
    container && (await unlessGone(ask(() => docker.getContainer(container).inspect())))?.State.StartedAt;
  return container && known ? { container, startedAt: known } : ownIdentity();
}

function mounts(): string {
  try {
    return readFileSync("/proc/self/mountinfo", "utf8");
  } catch {
    return "";
  }
}

async function remove(docker: Docker, name: string): Promise<void> {
  await unlessGone(ask((abortSignal) => docker.getVolume(name).remove({ abortSignal })));
}

function refusal({ deployment }: DeploymentNames, { volume, owner, isSeen }: Other): string {
  const who =
    "container" in owner
      ? `container ${owner.container.slice(0, 12)}`
      : `process ${owner.pid} on ${owner.machine.split(" ")[0]}`;
  const advice = "stop it, or give this one a name of its own in AIRLOCK_DEPLOYMENT";
  return isSeen
    ? `Another pool-manager (${who}) manages the deployment "${deployment}" on this Docker engine; ${advice}.`
    : `Another pool-manager (${who}, which cannot be seen from here) manages the deployment "${deployment}" on this Docker engine; ${advice}. If it has ended, docker volume rm ${volume}.`;
}
