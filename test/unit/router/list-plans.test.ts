import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readMigrations } from "#common/database/migrations.ts";
import { DEAD_LETTER_COLUMNS, IS_DEAD_LETTER, SUMMARY_COLUMNS } from "../../../services/router/store/rows.ts";
import { pageQuery } from "../../../services/router/store/sqlite/statements.ts";
import { ROUTER_TABLES } from "../../../services/router/store/tables.ts";

const TENANT = { tenant: "default", principal: undefined };
const OWN = { tenant: "default", principal: "key:alice" };

let db: DatabaseSync;
beforeAll(() => {
  db = new DatabaseSync(":memory:");
  for (const { sql } of readMigrations(ROUTER_TABLES.migrations, "sqlite")) db.exec(sql);
});
afterAll(() => db.close());

/** The steps in which SQLite finds a page, without those of the columns' own subqueries. */
function planOf(filter: object, ...more: [columns?: string, only?: string]): string[] {
  const [columns = SUMMARY_COLUMNS, only] = more;
  const { text, values } = pageQuery(columns, { limit: 50, ...filter }, only);
  const rows = db.prepare(`EXPLAIN QUERY PLAN ${text}`).all(...values) as { detail: string }[];
  return rows.map(({ detail }) => detail);
}

describe("SQLite finds a page of a list", () => {
  it.each([
    [{ scope: TENANT }, /executions USING INDEX sqlite_autoindex_executions_1/],
    [{ scope: TENANT, project: "p" }, /executions_by_project \(project=\?/],
    [{ scope: TENANT, status: "error" }, /executions_by_status \(status=\?/],
    [
      { scope: TENANT, status: "error", project: "p" },
      /executions_by_project_and_status \(project=\? AND status=\?/,
    ],
    [{ scope: TENANT, retryOf: "x" }, /executions_retries \(retry_of=\?/],
    [{ scope: OWN }, /executions_of_principal \(tenant=\? AND principal=\?/],
    [{ scope: OWN, project: "p", status: "error" }, /executions_of_principal \(tenant=\? AND principal=\?/],
    [{ scope: OWN, retryOf: "x" }, /executions_retries \(retry_of=\?/],
    [{ scope: OWN, before: "x" }, /executions_of_principal \(tenant=\? AND principal=\? AND execution_id<\?/],
  ])("SQLite finds a page of %j by an index", (filter, expected) => {
    const plan = planOf(filter);
    expect(plan.join("\n")).toMatch(expected);
    expect(plan.filter((step) => /^SCAN executions$/.test(step))).toEqual([]);
    const isOwn = filter.scope === OWN && !("retryOf" in filter);
    if (isOwn) expect(plan.join("\n")).toMatch(/executions_of_maker \(tenant=\? AND maker=\?/);
    // The two pages of a principal's list are merged, and each of them is read in order.
    if (!("retryOf" in filter) && !isOwn) expect(plan.filter((step) => /TEMP B-TREE/.test(step))).toEqual([]);
  });

  it.each([
    [{ scope: TENANT }, /executions_dead_letters/],
    [{ scope: TENANT, project: "p" }, /executions_dead_letters_of_project/],
    [{ scope: OWN }, /executions_dead_letters_of_principal/],
  ])("SQLite finds the dead letters of %j by an index", (filter, expected) => {
    const plan = planOf(filter, DEAD_LETTER_COLUMNS, IS_DEAD_LETTER).join("\n");
    expect(plan).toMatch(expected);
    if (filter.scope === OWN) expect(plan).toMatch(/executions_dead_letters_of_maker/);
  });
});
