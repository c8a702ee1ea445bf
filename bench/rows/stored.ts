import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { startAirlock } from "../../test/harness/airlock.ts";
import type { Row } from "../bench.ts";
import { execute, type RestClient, restClient } from "../clients/rest.ts";
import { PROJECTS } from "../projects.ts";
import { interleave, timedEach } from "../rounds.ts";
import { percentiles } from "../statistics.ts";
import { SCRIPT } from "./latency.ts";

const EMPTY = "1 stored";
const POLLS_PER_EXECUTION = 10;

/** Measures GET /executions/{id} of an ended execution, in an empty store and in a full one. */
export const stored: Row = {
  name: "stored",
  title: "GET /executions/{id}; ratio to a store with one execution",
  async measure(bench) {
    const { storedExecutions, rounds, perRound } = bench.plan;
    bench.say(`${storedExecutions.toLocaleString("en")} stored executions`);
    const [empty, full] = await Promise.all([startWith(0), startWith(storedExecutions)]);
    const polls = async ({ client, ids }: Filled) => {
      let at = 0;
      const poll = () => client.executions.get(ids[at++ % ids.length] ?? "");
      return percentiles(await timedEach(perRound * POLLS_PER_EXECUTION, poll));
    };
    try {
      for (const each of [empty, full]) await polls(each);
      const subjects = [
        { name: EMPTY, round: () => polls(empty) },
        {
          name: `${storedExecutions.toLocaleString("en")} stored`,
          floor: EMPTY,
          round: () => polls(full),
        },
      ];
      return (await interleave(subjects, rounds)).figures(this.name, "ms");
    } finally {
      await empty.close();
      await full.close();
    }
  },
};

type Filled = { readonly client: RestClient; readonly ids: readonly string[]; close(): Promise<void> };

async function startWith(count: number): Promise<Filled> {
  const directory = await mkdtemp(join(tmpdir(), "airlock-bench-"));
  const first = await startAirlock({ directory, projects: { plain: PROJECTS.plain } });
  const atFirst = restClient(first.url);
  const { execution_id: own } = await execute(atFirst, "plain", SCRIPT);
  atFirst.close();
  await first.stop();
  fill(join(first.dataDirectory, "airlock.db"), own, count);
  const airlock = await startAirlock({ directory, projects: {} });
  const client = restClient(airlock.url);
  return {
    client,
    ids: count === 0 ? [own] : idsAmong(count),
    close: async () => {
      client.close();
      await airlock.remove();
    },
  };
}

/** Fills the store with copies of an execution that has run, each with an id of its own. */
function fill(path: string, executionId: string, count: number): void {
  if (count === 0) return;
  const db = new DatabaseSync(path);
  const columnsOf = (table: string) =>
    (db.prepare(`SELECT name FROM pragma_table_info(?)`).all(table) as { name: string }[])
      .map(({ name }) => name)
      .filter((name) => name !== "execution_id");
  const numbers = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})`;
  const copy = (table: string) => {
    const columns = columnsOf(table).join(", ");
    db.prepare(
      `${numbers} INSERT INTO ${table} (execution_id, ${columns})
       SELECT printf('00000000-0000-7000-8000-%012x', i), ${columns} FROM n, ${table} WHERE execution_id = ?`,
    ).run(executionId);
  };
  db.exec("BEGIN");
  copy("executions");
  copy("execution_output");
  db.exec("COMMIT");
  db.close();
}

/** The same 1,000 ids on every run, spread over the whole table in an irregular order. */
function idsAmong(count: number): string[] {
  return Array.from({ length: 1_000 }, (_, index) => {
    const number = ((index * 7_919_123) % count) + 1;
    return `00000000-0000-7000-8000-${number.toString(16).padStart(12, "0")}`;
  });
}
