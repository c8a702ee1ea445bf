import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readMigrations } from "#common/database/migrations.ts";

let directory: string;
const write = async (...names: string[]) => {
  for (const name of names) await writeFile(join(directory, name), `-- ${name}`);
};
const namesOf = (dialect: "sqlite" | "postgres") =>
  readMigrations(directory, dialect).map(({ name, sql }) => [name, sql]);

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-migrations-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

describe("a directory of migrations", () => {
  it("a directory of migrations has those of both dialects side by side, each in order", async () => {
    await write("0002-b.sqlite.sql", "0001-a.postgres.sql", "0001-a.sqlite.sql", "README.md");
    expect(namesOf("sqlite")).toEqual([
      ["0001-a", "-- 0001-a.sqlite.sql"],
      ["0002-b", "-- 0002-b.sqlite.sql"],
    ]);
    expect(namesOf("postgres")).toEqual([["0001-a", "-- 0001-a.postgres.sql"]]);
  });

  it("a directory of migrations is refused when a number is missing or given twice", async () => {
    await write("0001-a.sqlite.sql", "0003-c.sqlite.sql");
    expect(() => namesOf("sqlite")).toThrow("0003-c.sqlite.sql is not migration 2; they are numbered");
    await write("0001-b.sqlite.sql");
    expect(() => namesOf("sqlite")).toThrow("0001-b.sqlite.sql is not migration 2; they are numbered");
  });

  it.each(["0001-a.sql", "1-a.sqlite.sql", "0001-a.mysql.sql", "0001-A.sqlite.sql"])(
    "a directory of migrations is refused when it has a file named %s",
    async (name) => {
      await write(name);
      expect(() => namesOf("sqlite")).toThrow(`${name} names no dialect; the form is`);
    },
  );
});
