import { randomBytes } from "node:crypto";
import type { TestDatabase } from "../harness/postgres.ts";

/** A secret that scripts print. */
export const TOKEN = `chaos-${randomBytes(12).toString("hex")}-last`;
/** The marker that replaces TOKEN in output. */
export const MARKER = "[REDACTED...last]";

/** Whether a text contains TOKEN, plain, in hexadecimal digits or in Base64. */
export function holdsToken(text: string): boolean {
  return FORMS.some((form) => text.includes(form));
}

const FORMS = [TOKEN, Buffer.from(TOKEN).toString("hex"), Buffer.from(TOKEN).toString("base64").slice(0, -4)];

/** Names of the tables with TOKEN in a row; PostgreSQL shows columns of bytes as hexadecimal digits. */
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
