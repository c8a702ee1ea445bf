import { randomBytes } from "node:crypto";
import type { TestDatabase } from "../harness/postgres.ts";

/** A secret that scripts print. */
export const TOKEN = `chaos-${randomBytes(12).toString("hex")}-last`;
/** What it looks like when it has left. */
export const MARKER = "[REDACTED...last]";

/** As it is, or encoded. */
export function holdsToken(text: string): boolean {
  return FORMS.some((form) => text.includes(form));
}

const FORMS = [TOKEN, Buffer.from(TOKEN).toString("hex"), Buffer.from(TOKEN).toString("base64").slice(0, -4)];

/** Tables that hold it, in columns of bytes as well, which are written as hexadecimal digits here. */
export async function rowsWithToken(database: TestDatabase): Promise<string[]> {
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
