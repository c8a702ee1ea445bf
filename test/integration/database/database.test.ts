import { expect, it } from "vitest";
import type { Statement, Statements } from "#common/database/database.ts";
import { checkDatabase } from "#common/database/readiness.ts";
import { systemClock as clock } from "#common/resilience/clock.ts";
import { NOTES } from "../../support/notes.ts";
import { describeStore, openTestDatabase } from "../../support/store-contract.ts";

const ADD: Statement = {
  name: "add",
  text: "INSERT INTO notes (name, text, written_at_ms) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
};
const NAMES: Statement = { name: "names", text: "SELECT name FROM notes ORDER BY name" };
const add = (db: Statements, name: string) => db.change(ADD, [name, `text of ${name}`, 1]);
const names = async (db: Statements) => (await db.rows<{ name: string }>(NAMES)).map(({ name }) => name);

describeStore(
  "a service's database",
  (config) => openTestDatabase(config, NOTES),
  (test, dialect) => {
    it(`a service's ${dialect} database keeps rows over a restart, with the types of their columns`, async () => {
      const text = "INSERT INTO notes VALUES ($1, $2, $3, $4)";
      const time = 1_793_000_000_000;
      const sealed = Uint8Array.of(0, 255, 10);
      expect(await test.store.change({ text }, ["a", "日\n", time, sealed])).toBe(1);
      const [row, ...others] = await (await test.reopen()).rows<Record<string, unknown>>(
        {
          text: "SELECT * FROM notes WHERE name = $1",
        },
        ["a"],
      );
      expect(others).toEqual([]);
      expect({ ...row, sealed: Array.from((row?.sealed ?? []) as Uint8Array) }).toEqual({
        name: "a",
        text: "日\n",
        written_at_ms: time,
        sealed: [...sealed],
      });
    });

    it(`a service's ${dialect} database counts the rows that a statement changed`, async () => {
      expect(await add(test.store, "a")).toBe(1);
      expect(await add(test.store, "a")).toBe(0);
      await add(test.store, "b");
      expect(await test.store.change({ text: "UPDATE notes SET written_at_ms = $1" }, [2])).toBe(2);
    });

    it(`a service's ${dialect} database takes a value that a statement uses twice, and more than nine values`, async () => {
      const values = Array.from({ length: 11 }, (_, index) => index);
      const text = `SELECT CAST($11 AS INTEGER) AS last, CAST($1 AS INTEGER) + CAST($1 AS INTEGER) AS twice, ${values
        .map((n) => `CAST($${n + 1} AS INTEGER) AS v${n}`)
        .join(", ")}`;
      expect(
        await test.store.rows(
          { text },
          values.map((n) => n + 3),
        ),
      ).toMatchObject([{ last: 13, twice: 6, v0: 3, v9: 12 }]);
    });

    it(`a service's ${dialect} database takes the text of its dialect`, async () => {
      const text = { sqlite: "SELECT 'sqlite' AS dialect", postgres: "SELECT 'postgres' AS dialect" };
      expect(await test.store.rows({ text })).toEqual([{ dialect }]);
    });

    it(`a service's ${dialect} database keeps all changes of a transaction`, async () => {
      const result = await test.store.transaction(async (statements) => {
        await add(statements, "a");
        return (await add(statements, "b")) + 1;
      });
      expect(result).toBe(2);
      expect(await names(await test.reopen())).toEqual(["a", "b"]);
    });

    it(`a service's ${dialect} database keeps no change of a transaction that rejects, and goes on`, async () => {
      const failed = test.store.transaction(async (statements) => {
        await add(statements, "a");
        throw new RangeError("no");
      });
      await expect(failed).rejects.toThrow(RangeError);
      const refused = test.store.transaction(async (statements) => {
        await add(statements, "b");
        await statements.change({ text: "INSERT INTO notes VALUES ('c', '', 1, NULL)" });
      });
      await expect(refused).rejects.toMatchObject({ code: "internal" });
      expect(await add(test.store, "d")).toBe(1);
      expect(await names(test.store)).toEqual(["d"]);
    });

    it(`a service's ${dialect} database keeps statements of others out of a transaction`, async () => {
      const begun = Promise.withResolvers<void>();
      const end = Promise.withResolvers<void>();
      const failed = test.store.transaction(async (statements) => {
        await add(statements, "a");
        begun.resolve();
        await end.promise;
        throw new Error("no");
      });
      await begun.promise;
      const other = add(test.store, "other");
      end.resolve();
      await expect(failed).rejects.toThrow("no");
      expect(await other).toBe(1);
      expect(await names(test.store)).toEqual(["other"]);
    });

    it(`a service's ${dialect} database runs twenty transactions at once, each whole`, async () => {
      await test.store.change(ADD, ["counter", "text", 0]);
      const increase = () =>
        test.store.transaction(async (statements) => {
          const text = "SELECT written_at_ms AS n FROM notes WHERE name = 'counter'";
          const locked = { text: { sqlite: text, postgres: `${text} FOR UPDATE` } };
          const [row] = await statements.rows<{ n: number }>(locked);
          const set = { text: "UPDATE notes SET written_at_ms = $1 WHERE name = 'counter'" };
          await statements.change(set, [(row?.n ?? 0) + 1]);
        });
      await Promise.all(Array.from({ length: 20 }, increase));
      const rows = await test.store.rows({ text: "SELECT written_at_ms AS n FROM notes" });
      expect(rows).toEqual([{ n: 20 }]);
    });

    it(`a service's ${dialect} database reports a refused statement without the values of rows`, async () => {
      const text = "INSERT INTO notes VALUES ($1, '', 1, NULL)";
      const error = await test.store.change({ text }, ["private"]).catch((reason: unknown) => reason);
      expect(error).toMatchObject({
        code: "internal",
        message: "The database refused a statement; the operator finds the reason in the log.",
      });
      expect(String((error as Error).cause)).not.toContain("private");
    });

    it(`a service's ${dialect} database is ready until it is closed`, async () => {
      await test.store.ping();
      expect(await checkDatabase(test.store, clock)).toMatchObject({ name: "database", ready: true });
    });

    it(`a service's ${dialect} database is refused when a newer release has written it`, async () => {
      await test.close();
      await test.sql(
        dialect === "sqlite"
          ? "PRAGMA user_version = 2"
          : "INSERT INTO notes.airlock_migrations (number, name, checksum) VALUES (2, '0002-more', 'x')",
      );
      await expect(test.reopen()).rejects.toThrow(/newer Airlock/);
      await test.sql(
        dialect === "sqlite"
          ? "PRAGMA user_version = 1"
          : "DELETE FROM notes.airlock_migrations WHERE number = 2",
      );
      await test.reopen();
    });
  },
);
