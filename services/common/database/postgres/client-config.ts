import { readFile } from "node:fs/promises";
import { type ClientConfig, TypeOverrides } from "pg";
import { Secret } from "../../secret.ts";
import type { PostgresConfig } from "../config.ts";
import type { ServiceTables } from "../tables.ts";
import { passwordIn } from "./url.ts";

// Milliseconds for a new connection: less than a caller waits for its answer, so that the caller learns that
// the database does not answer.
const CONNECT_TIMEOUT_MS = 3_000;
const STATEMENT_TIMEOUT_MS = 10_000;
// Milliseconds for the answer to a statement: longer than the server's own limit above, because the server
// normally ends a slow statement first. This limit is for a server whose answers no longer arrive.
const ANSWER_TIMEOUT_MS = 12_000;
const LOCK_TIMEOUT_MS = 5_000;
const INT8 = 20;
const BYTEA = 17;

/**
 * The settings of every connection of this service to PostgreSQL. The password is read from its file again
 * for each new connection. Rejects when a certificate cannot be read.
 */
export async function readClientConfig(
  { address, url }: PostgresConfig,
  { service, postgresSchema, hasTextsInBytea }: ServiceTables,
): Promise<ClientConfig> {
  const { host, port, user, database, tls } = address;
  const pem = async (file: string | undefined) =>
    file === undefined ? undefined : await readFile(file, "utf8");
  return {
    host,
    port,
    user,
    database,
    async password() {
      const text = url instanceof Secret ? url.reveal() : (await readFile(url.file, "utf8")).trim();
      return passwordIn(text) ?? "";
    },
    ssl: tls
      ? { ca: await pem(tls.caFile), cert: await pem(tls.certFile), key: await pem(tls.keyFile) }
      : false,
    options: optionsOf(postgresSchema),
    application_name: `airlock-${service}`,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    query_timeout: ANSWER_TIMEOUT_MS,
    lock_timeout: LOCK_TIMEOUT_MS,
    idle_in_transaction_session_timeout: STATEMENT_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    types: rowTypes(hasTextsInBytea === true),
  };
}

/**
 * Settings of the session, as arguments of the server. The statements are written for `read committed`; a
 * database whose default is another isolation would refuse many of them (40001).
 */
function optionsOf(schema: string | undefined): string {
  const isolation = "-c default_transaction_isolation=read\\ committed";
  return schema === undefined ? isolation : `${isolation} -c search_path=${schema}`;
}

/**
 * The UTF-8 bytes of a text for a BYTEA column, because a TEXT column cannot hold U+0000; null stays null.
 * For tables with `hasTextsInBytea`.
 */
export function bytes(text: string | null): Buffer | null {
  return text === null ? null : Buffer.from(text);
}

/**
 * Parsers that give rows of PostgreSQL the same JavaScript types as rows of SQLite: BIGINT becomes a number,
 * which is exact because Airlock's BIGINT columns hold only milliseconds, bytes and counts. BYTEA becomes a
 * string with `hasTextsInBytea`, otherwise bytes.
 */
function rowTypes(hasTextsInBytea: boolean): TypeOverrides {
  const types = new TypeOverrides();
  types.setTypeParser(INT8, Number);
  if (hasTextsInBytea) {
    types.setTypeParser(BYTEA, (hex: string) => Buffer.from(hex.slice("\\x".length), "hex").toString());
  }
  return types;
}
