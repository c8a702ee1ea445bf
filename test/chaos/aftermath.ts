import { expect } from "vitest";
import type { Client, Witness } from "./client.ts";
import { firstLineOf } from "./judgement.ts";
import type { Stage } from "./stage.ts";

const MINUTE_MS = 60_000;

/** Each call of a script at the ledger counts; so does a second id for one key, which the rows would show. */
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

/** An end is final, whoever is asked. */
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

/** Of executions, leases and workers: nothing but idle workers, as many as each project wants. */
export async function nothingIsLeft(
  stage: Stage,
  witnesses: readonly Witness[],
  replicas: Readonly<Record<string, number>>,
): Promise<void> {
  const { sql } = stage.database;
  const rows = await sql<{ execution_id: string }>("SELECT execution_id FROM executions ORDER BY 1");
  expect(rows.map((row) => row.execution_id)).toEqual(witnesses.map(({ id }) => id).sort());
  expect(await sql("SELECT execution_id FROM executions WHERE ended_at_ms IS NULL")).toEqual([]);
  const projects = async () => {
    const response = await fetch(`${stage.urls[0]}/projects`);
    const { projects: all } = (await response.json()) as { projects: Record<string, unknown>[] };
    return all.map(({ name, idle_workers, queue_depth }) => ({ name, idle_workers, queue_depth }));
  };
  const idle = Object.entries(replicas).map(([name, count]) => ({
    name,
    idle_workers: count,
    queue_depth: 0,
  }));
  // A lease whose router was killed is kept for a minute.
  await expect.poll(projects, { timeout: 2 * MINUTE_MS, interval: 500 }).toEqual(idle);
  // A worker whose container its engine has lost sight of ends by itself, a minute after nobody gave it certificates.
  await expect
    .poll(stage.place.census, { timeout: 2 * MINUTE_MS, interval: 500 })
    .toEqual(stage.place.expected(replicas));
}

/** What the services wrote of the executions that have problems, to find out why. */
export function logsOf(stage: Stage, problems: readonly string[]): string {
  const ids = problems.flatMap((problem) => /[0-9a-f]{8}-[0-9a-f-]{27}/.exec(problem)?.[0] ?? []);
  return [...stage.services]
    .flatMap(([name, service]) =>
      service
        .output()
        .split("\n")
        .map((line) => `${name} ${line}`),
    )
    .filter((line) => ids.some((id) => line.includes(id)))
    .join("\n");
}
