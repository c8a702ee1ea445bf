import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import type { Account } from "../../harness/account.ts";
import type { RestClient } from "../../harness/rest.ts";
import { childrenOf } from "../../support/process-tree.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");
const PYTHON = process.env.AIRLOCK_PYTHON ?? join(ROOT, ".venv", "bin", "python");
// Facts that are not compared, because they depend on the checkout's path and the project's limits.
const OF_THE_MACHINE = ["limits", "writable_directories"];

/** Fails the test unless the service and the supervisors have the account's user and group, and no other rights. */
export async function expectOnlyItsProcesses(pid: number, { uid }: Account): Promise<void> {
  const every = Array(4).fill(String(uid));
  const none = "0".repeat(16);
  for (const each of [pid, ...(await childrenOf(pid))]) {
    const status = await statusOf(each);
    expect([status.Uid, status.Gid], status.Name?.join()).toEqual([every, every]);
    // A core dump would write the secrets of these processes to a file.
    expect((await readFile(`/proc/${each}/coredump_filter`, "utf8")).trim()).toBe("00000000");
    if (uid === 0) continue;
    expect(status.Groups ?? []).toEqual([]);
    const held = [status.CapInh, status.CapPrm, status.CapEff, status.CapAmb];
    expect(held).toEqual(Array(4).fill([none]));
  }
}

/**
 * Fails the test unless each of root's runs, spares included, has a user of its own, because the kernel limits many
 * things per user, such as epoll watches and inotify instances: one run could use up the share of the others.
 */
export async function expectRunsOfTheirOwn(pid: number, { uid }: Account): Promise<void> {
  const childrenOfAll = async (parents: number[]) => (await Promise.all(parents.map(childrenOf))).flat();
  const zygotes = await childrenOfAll(await childrenOf(pid));
  const inits = await childrenOfAll(await childrenOfAll(zygotes));
  const scripts = await childrenOfAll(inits);
  const users = await Promise.all(scripts.map(async (each) => Number((await statusOf(each)).Uid?.[0])));
  expect(users.length).toBeGreaterThan(5);
  if (uid === 0) expect(new Set(users).size).toBe(users.length);
  for (const user of users) expect(user).toSatisfy(uid === 0 ? isUnassigned : (its) => its === uid);
}

// A range of user ids that no system gives to accounts, services or containers.
const isUnassigned = (user: number) => user >= 0x7000_0000 && user < 0x8000_0000;

/** Fails the test unless the isolation layers and facts of the project in REST are those of worker/tests/posture.py. */
export async function expectItsPosture(rest: RestClient, { uid }: Account): Promise<void> {
  const script = "import json; from tests.posture import EXPECTED; print(json.dumps(EXPECTED))";
  const { stdout } = spawnSync(PYTHON, ["-c", script], { cwd: join(ROOT, "worker"), encoding: "utf8" });
  const { layers, facts } = JSON.parse(stdout)[uid === 0 ? "root" : "user"];
  const view = await rest.project("demo");
  const inForce = view.isolation_layers.filter((layer) => layer.in_force).map(({ name }) => name);
  expect(inForce.sort(), JSON.stringify(view.isolation_layers)).toEqual([...layers].sort());
  const comparable = (found: Readonly<Record<string, readonly string[]>>) =>
    Object.fromEntries(Object.entries(found).filter(([name]) => !OF_THE_MACHINE.includes(name)));
  expect(comparable(view.isolation_facts)).toEqual(comparable(facts));
}

/**
 * Fails the test unless a project with `isolation: strict` starts exactly when all layers are in force, and else
 * names those that are not.
 */
export async function expectStrictToBeObeyed(rest: RestClient): Promise<void> {
  const execution = await rest.run({ project: "strict", code: "pass" });
  const view = await rest.project("demo");
  const missing = view.isolation_layers.filter((layer) => !layer.in_force);
  expect(execution.end_reason).toBe(missing.length === 0 ? "completed" : "start_failed");
  for (const { name } of missing) expect(execution.error).toContain(name);
}

async function statusOf(pid: number): Promise<Record<string, string[]>> {
  const lines = (await readFile(`/proc/${pid}/status`, "utf8")).split("\n");
  return Object.fromEntries(
    lines.map((line) => {
      const [name = "", values = ""] = line.split(":");
      return [name, values.trim().split(/\s+/).filter(Boolean)];
    }),
  );
}
