import { expect } from "vitest";
import { createAirlock } from "#sdk/airlock.ts";
import type { ChaosHarness } from "./chaos-harness.ts";
import type { Client, Witness } from "./client.ts";
import { firstLineOf } from "./judgement.ts";

const MINUTE_MS = 60_000;

/**
 * Reports executions that ran twice: more than one call at the call log, or the same first line of output in two
 * executions.
 */
export function ranTwice(witnesses: readonly Witness[], paths: readonly string[]): string[] {
  const problems: string[] = [];
  for (const { n, script, id } of witnesses) {
    if (script.kind !== "calls") continue;
    const count = paths.filter((path) => path === `/${n}`).length;
    if (count > 1) problems.push(`${id} (calls ${n}) ran ${count} times`);
  }
  const firstLines = witnesses.map(({ view }) => firstLineOf(view.stdout)).filter(Boolean);
  if (new Set(firstLines).size !== firstLines.length) problems.push("two executions show the same run");
  return problems;
}

/** Reports executions whose ended state differs later, at either gateway. */
export async function changedLater(witnesses: readonly Witness[], client: Client): Promise<string[]> {
  const problems: string[] = [];
  for (const { id, body } of witnesses) {
    for (const gateway of [0, 1]) {
      const now = await client.poll(id, gateway);
      if (now !== body)
        problems.push(`${id} changed after its end: ${body.slice(0, 300)} -> ${now.slice(0, 300)}`);
    }
  }
  return problems;
}

/** Fails the test unless all executions have ended and each project has its number of idle workers and nothing else. */
export async function nothingIsLeft(
  harness: ChaosHarness,
  witnesses: readonly Witness[],
  replicas: Readonly<Record<string, number>>,
): Promise<void> {
  const { sql } = harness.database;
  const rows = await sql<{ execution_id: string }>("SELECT execution_id FROM executions ORDER BY 1");
  expect(rows.map((row) => row.execution_id)).toEqual(witnesses.map(({ id }) => id).sort());
  expect(await sql("SELECT execution_id FROM executions WHERE ended_at_ms IS NULL")).toEqual([]);
  const airlock = createAirlock({ url: harness.urls[0] ?? "", retry: "never" });
  const projects = async () => {
    return (await airlock.projects.list()).map(({ name, idle_workers, queue_depth }) => ({
      name,
      idle_workers,
      queue_depth,
    }));
  };
  const idle = Object.entries(replicas).map(([name, count]) => ({
    name,
    idle_workers: count,
    queue_depth: 0,
  }));
  // The pool-manager keeps a lease for a minute after its router was killed.
  await expect.poll(projects, { timeout: 2 * MINUTE_MS, interval: 500 }).toEqual(idle);
  // A worker whose container the engine has forgotten gets no certificates, and ends by itself after a minute.
  await expect
    .poll(harness.workerHost.counts, { timeout: 2 * MINUTE_MS, interval: 500 })
    .toEqual(harness.workerHost.expected(replicas));
}

/** The log lines of all services about the executions that have problems. */
export function logsOf(harness: ChaosHarness, problems: readonly string[]): string {
  const ids = problems.flatMap((problem) => /[0-9a-f]{8}-[0-9a-f-]{27}/.exec(problem)?.[0] ?? []);
  return [...harness.services]
    .flatMap(([name, service]) =>
      service
        .output()
        .split("\n")
        .map((line) => `${name} ${line}`),
    )
    .filter((line) => ids.some((id) => line.includes(id)))
    .join("\n");
}
