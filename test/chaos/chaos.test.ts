import { randomBytes } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { startEchoServer } from "../support/echo-server.ts";
import { postgresMissing } from "../support/postgres.ts";
import { treeOf } from "../support/process-tree.ts";
import { createClient, type Witness } from "./client.ts";
import { deckOf, type Fault, strike } from "./faults.ts";
import { judge, tableOf } from "./judgement.ts";
import { seededRandom } from "./random.ts";
import { KINDS, scriptOf } from "./scripts.ts";
import { openStage, type Stage } from "./stage.ts";

// AIRLOCK_CHAOS_EXECUTIONS=1000 is the whole of it; the faults go round until as many have ended, at least once.
const EXECUTIONS = Number(process.env.AIRLOCK_CHAOS_EXECUTIONS ?? 150);
const SEED = Number(process.env.AIRLOCK_CHAOS_SEED ?? randomBytes(4).readUInt32BE());
// At the same time: more than there are workers, so that some always wait.
const CLIENTS = 16;
const REPLICAS = { demo: 4, listed: 2 };
const FAULT_EVERY_MS = [3_000, 8_000] as const;
const MINUTE_MS = 60_000;
const missing = postgresMissing();

const TOKEN = `chaos-${randomBytes(12).toString("hex")}-last`;
const MARKER = "[REDACTED...last]";

describe.skipIf(missing)(`whatever dies${missing ? ` (${missing})` : ""}`, () => {
  it(
    `every accepted execution ends exactly once (AIRLOCK_CHAOS_SEED=${SEED})`,
    async () => {
      const ledger = await startEchoServer();
      const base = 'secrets: {TOKEN: "${env:CHAOS_TOKEN}"}\nlimits: {max_output_mb: 1}\n';
      const listed = `network_allowlist: ["127.0.0.1:${ledger.port}"]\nallow_private: [127.0.0.1]\n`;
      const stage = await openStage(
        {
          demo: `${base}replicas: ${REPLICAS.demo}\n`,
          listed: `${base}replicas: ${REPLICAS.listed}\n${listed}`,
        },
        { CHAOS_TOKEN: TOKEN },
      );
      const leaks: string[] = [];
      const captured = (text: string) => {
        if (holdsToken(text)) leaks.push(text.slice(0, 1_000));
      };
      const client = createClient(stage.urls, captured);
      try {
        const { witnesses, faults } = await play(stage, client, ledger.port);
        process.stdout.write(`\n${tableOf(faults, witnesses)}\n${client.retries()} calls were repeated\n`);

        const problems = witnesses.flatMap((witness) =>
          judge(witness, faults).problems.map(
            (problem) => `${witness.script.kind} ${witness.n} ${witness.id}: ${problem}`,
          ),
        );
        problems.push(...client.violations);
        for (const service of stage.services.values()) problems.push(...service.crashes);
        problems.push(
          ...(await ranTwice(
            witnesses,
            ledger.seen.map(({ path }) => path),
          )),
        );
        problems.push(...(await changedLater(witnesses, client)));
        expect(problems).toEqual([]);

        await nothingIsLeft(stage, witnesses);
        expect(await rowsWithToken(stage)).toEqual([]);
        await stage.stop();
        await expect.poll(stage.workerProcesses, { timeout: MINUTE_MS }).toEqual([]);
        for (const service of stage.services.values()) captured(service.output());
        expect(leaks).toEqual([]);
        const asWritten = witnesses.filter(
          (witness) => judge(witness, faults).ending === "as written",
        ).length;
        expect(asWritten).toBeGreaterThan(witnesses.length / 2);
      } finally {
        client.stop();
        await stage.remove();
        await ledger.close();
      }
    },
    60 * MINUTE_MS,
  );
});

/** Clients and faults at the same time, until both have had enough. */
async function play(stage: Stage, client: ReturnType<typeof createClient>, ledgerPort: number) {
  const world = { marker: MARKER, ledgerPort };
  const witnesses: Witness[] = [];
  const faults: Fault[] = [];
  let isOver = false;
  let wasRound = false;
  let next = 0;
  const submit = async () => {
    while (next < EXECUTIONS || !wasRound) {
      const n = next++;
      const random = seededRandom(SEED, n + 1);
      witnesses.push(await client.run(n, scriptOf(random.pick(KINDS), n, random, world), random));
    }
  };
  const destroy = async () => {
    const random = seededRandom(SEED, 0);
    const thaws: Promise<void>[] = [];
    while (!isOver) {
      for (const deed of deckOf(random)) {
        await new Promise((resolve) => setTimeout(resolve, random.between(...FAULT_EVERY_MS)));
        if (isOver) break;
        const { fault, thawed } = await strike(deed, stage, random);
        thaws.push(thawed);
        faults.push(fault);
        if (process.env.AIRLOCK_CHAOS_VERBOSE) {
          process.stdout.write(
            `${new Date(fault.atMs).toISOString()} ${fault.deed} ${fault.target}, ${witnesses.length} ended\n`,
          );
        }
        // Two at once are enough of postgres.
        if (deed.target === "postgres") await thawed;
      }
      wasRound = true;
    }
    await Promise.all(thaws);
  };
  const destroyed = destroy();
  await Promise.all(Array.from({ length: CLIENTS }, submit)).finally(() => {
    isOver = true;
  });
  await destroyed;
  return { witnesses, faults };
}

/** Each call of a script at the ledger counts; so does a second id for one key, which the rows would show. */
async function ranTwice(witnesses: readonly Witness[], paths: readonly string[]): Promise<string[]> {
  const problems: string[] = [];
  for (const { n, script, id } of witnesses) {
    if (script.kind !== "calls") continue;
    const count = paths.filter((path) => path === `/${n}`).length;
    if (count > 1) problems.push(`${id} (calls ${n}) ran ${count} times`);
  }
  const firstLines = witnesses.map(({ view }) => view.stdout.split("\n")[0]).filter(Boolean);
  if (new Set(firstLines).size !== firstLines.length) problems.push("two executions show the same run");
  return problems;
}

/** An end is final, whoever is asked. */
async function changedLater(witnesses: readonly Witness[], client: ReturnType<typeof createClient>) {
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

async function nothingIsLeft(stage: Stage, witnesses: readonly Witness[]): Promise<void> {
  const { sql } = stage.database;
  const rows = await sql<{ execution_id: string }>("SELECT execution_id FROM executions ORDER BY 1");
  expect(rows.map((row) => row.execution_id)).toEqual(witnesses.map(({ id }) => id).sort());
  expect(await sql("SELECT execution_id FROM executions WHERE ended_at_ms IS NULL")).toEqual([]);
  const projects = async () => {
    const response = await fetch(`${stage.urls[0]}/projects`);
    const { projects: all } = (await response.json()) as { projects: Record<string, unknown>[] };
    return all.map(({ name, idle_workers, queue_depth }) => ({ name, idle_workers, queue_depth }));
  };
  const idle = Object.entries(REPLICAS).map(([name, replicas]) => ({
    name,
    idle_workers: replicas,
    queue_depth: 0,
  }));
  // A lease whose router was killed is kept for half a minute.
  await expect.poll(projects, { timeout: 2 * MINUTE_MS, interval: 500 }).toEqual(idle);
  const strays = async () => {
    const own = new Set(await treeOf(stage.services.get("pool-manager")?.pid() ?? 0));
    return (await stage.workerProcesses()).filter((pid) => !own.has(pid));
  };
  await expect.poll(strays, { timeout: MINUTE_MS }).toEqual([]);
  const workers = REPLICAS.demo + REPLICAS.listed;
  expect((await stage.supervisors()).length).toBe(workers);
  const directories = () => readdir(join(stage.directory, "run"));
  await expect.poll(directories, { timeout: MINUTE_MS }).toHaveLength(workers);
}

function holdsToken(text: string): boolean {
  return FORMS.some((form) => text.includes(form));
}

const FORMS = [TOKEN, Buffer.from(TOKEN).toString("hex"), Buffer.from(TOKEN).toString("base64").slice(0, -4)];

/** In columns of bytes as well, which are written as hexadecimal digits here. */
async function rowsWithToken({ database }: Stage): Promise<string[]> {
  const tables = await database.sql<{ name: string }>(
    "SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = 'public'",
  );
  const found: string[] = [];
  for (const { name } of tables) {
    for (const form of FORMS) {
      const rows = await database.sql(`SELECT 1 FROM ${name} AS each WHERE each::text LIKE $1 LIMIT 1`, [
        `%${form}%`,
      ]);
      if (rows.length > 0) found.push(name);
    }
  }
  return found;
}
