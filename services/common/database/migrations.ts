import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Dialect } from "./tables.ts";

/**
 * A migration: one SQL file that makes or changes tables of a service. A database records which migrations it
 * has had, PostgreSQL with the checksum of each, so the file of a released migration must never change.
 */
export type Migration = { readonly name: string; readonly sql: string; readonly checksum: string };

const FILE = /^(\d{4})-([a-z0-9-]+)\.(sqlite|postgres)\.sql$/;

/**
 * Reads the migrations of a directory for one dialect, in order. The first file has the number 1. Throws when
 * a number is missing, or when the name of an SQL file has not the form of a migration.
 */
export function readMigrations(directory: string, dialect: Dialect): Migration[] {
  const files = readdirSync(directory).filter((file) => file.endsWith(".sql"));
  const stray = files.find((file) => !FILE.test(file));
  if (stray !== undefined) {
    throw new Error(`${stray} names no dialect; the form is 0001-name.sqlite.sql and 0001-name.postgres.sql`);
  }
  const own = files.filter((file) => file.endsWith(`.${dialect}.sql`)).sort();
  return own.map((file, index) => {
    const [, number, name] = FILE.exec(file) ?? [];
    if (Number(number) !== index + 1) {
      throw new Error(`${file} is not migration ${index + 1}; they are numbered without a gap`);
    }
    const sql = readFileSync(join(directory, file), "utf8");
    return { name: `${number}-${name}`, sql, checksum: createHash("sha256").update(sql).digest("hex") };
  });
}
