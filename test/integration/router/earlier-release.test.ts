import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { readMigrations } from "#common/database/migrations.ts";
import { createCircuits } from "#common/resilience/circuits.ts";
import { systemClock as clock } from "#common/resilience/clock.ts";
import { failure, NO_OUTPUT } from "../../../services/router/execution.ts";
import { openStore } from "../../../services/router/store/open.ts";
import { ROUTER_TABLES } from "../../../services/router/store/tables.ts";
import { GRANT } from "../../support/grant.ts";
import { describeOnBothDatabases } from "../../support/store-contract.ts";

const log = pino({ level: "silent" });
const RELEASE = join(import.meta.dirname, "..", "..", "support", "earlier-release");
const writtenBy = (name: string) => readFileSync(join(RELEASE, name), "utf8");
const [COMPLETED, AWAITING, PENDING, LOST, NEW] = [1, 2, 3, 4, 5].map(
  (n) => `0198c0de-0000-7000-8000-00000000000${n}`,
) as [string, string, string, string, string];

describeOnBothDatabases("a database of an earlier release", (database, dialect) => {
  const open = () =>
    openStore(database.config, "router-1", clock, log, createCircuits("airlock_router", clock, log));

  it(`a ${dialect} database of an earlier release opens with all that it holds, and goes on`, async () => {
    await database.sql(writtenBy(`router.${dialect}.sql`));
    const store = await open();
    expect(await store.get(COMPLETED)).toMatchObject({
      project: "demo",
      stdout: "one two",
      state: { status: "completed", endedAtMs: 20, ending: { resultJson: "[1.0]", executionTimeMs: 7 } },
    });
    expect(await store.getRedactions(COMPLETED)).toEqual([{ secret: "TOKEN", field: "stdout", count: 2 }]);
    expect(await store.getIdempotencyKey("once")).toEqual({
      fingerprint: "f".repeat(64),
      executionId: COMPLETED,
    });
    expect(await store.listHeldProjects()).toEqual(["held"]);
    expect(await store.getDeadLetter(LOST)).toMatchObject({ submission: { code: "raise SystemExit" } });
    // The router that had these two is gone.
    expect(await store.claimPending(10)).toMatchObject([{ executionId: PENDING }]);
    expect(await store.claimOrphaned(10)).toMatchObject([{ executionId: AWAITING, epoch: 2 }]);

    const counted = await store.countStoredBytes();
    const submission = { executionId: NEW, project: "demo", code: "1", timeoutMs: 1, settings: {} };
    expect(await store.insert({ ...submission, memoryJson: "{}", createdAtMs: 50 })).toBe(true);
    expect(await store.start(NEW, 51, GRANT)).toMatchObject({ submission });
    expect(await store.finish(NEW, failure("cancelled", "no"), NO_OUTPUT, 52)).toBe(true);
    expect(await store.deleteEndedBefore(53, 10)).toBe(3);
    expect((await store.countStoredBytes())[0]?.bytes).toBeLessThan(counted[0]?.bytes ?? 0);
    await store.close();
  });
});

describe("the migrations of the router", () => {
  it("the migrations of the router for PostgreSQL are those that databases have a checksum of", () => {
    const recorded = /INSERT INTO public\.airlock_migrations VALUES \((\d+), '([^']+)', '([^']+)'/g;
    const applied = [...writtenBy("router.postgres.sql").matchAll(recorded)];
    const own = readMigrations(ROUTER_TABLES.migrations, "postgres");
    expect(applied.map(([, number, name, checksum]) => ({ number, name, checksum }))).toEqual(
      own
        .slice(0, applied.length)
        .map(({ name, checksum }, index) => ({ number: `${index + 1}`, name, checksum })),
    );
    expect(applied).toHaveLength(8);
  });

  it("the migrations of the router for SQLite make the tables that a file of an earlier release has", () => {
    const written = new DatabaseSync(":memory:");
    written.exec(writtenBy("router.sqlite.sql"));
    const { user_version: version } = written.prepare("PRAGMA user_version").get() as {
      user_version: number;
    };
    const own = new DatabaseSync(":memory:");
    const migrations = readMigrations(ROUTER_TABLES.migrations, "sqlite").slice(0, version);
    for (const { sql } of migrations) own.exec(sql);
    expect(shapeOf(own)).toEqual(shapeOf(written));
    expect({ version, statements: shapeOf(own).length }).toEqual({ version: 11, statements: 23 });
  });
});

/** The statements that made the tables, indexes and triggers, each on one line. */
function shapeOf(db: DatabaseSync): string[] {
  const rows = db.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name").all();
  return rows.map(({ sql }) => String(sql).replace(/\s+/g, " ").trim());
}
