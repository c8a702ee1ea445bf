import { readFile } from "node:fs/promises";
import { type ClientConfig, Pool, TypeOverrides } from "pg";
import type { CircuitBreaker } from "#common/resilience/circuit-breaker.ts";
import type { Clock } from "#common/resilience/clock.ts";
import { Secret } from "#common/secret.ts";
import type { Log } from "#common/service/log.ts";
import type { PostgresConfig } from "../config.ts";
import { describe, toStoreError } from "./errors.ts";
import { createStatementTurns } from "./statement-turns.ts";
import { passwordIn } from "./url.ts";

// The timeout for a new connection: less than a caller waits for an answer, so that the caller learns that
// the database does not answer.
const CONNECT_TIMEOUT_MS = 3_000;
const STATEMENT_TIMEOUT_MS = 10_000;
// The timeout for an answer: longer than the statement timeout, because the server normally gives up first.
// This one is for a server that the router cannot hear any more.
const ANSWER_TIMEOUT_MS = 12_000;
const LOCK_TIMEOUT_MS = 5_000;
// The timeout for a free connection: less than the gateway's timeout for a submission. Statements take
// milliseconds, so a longer wait means a queue of thousands or a server that hangs.
const TURN_TIMEOUT_MS = 10_000;
const INT8 = 20;
const BYTEA = 17;

/**
 * An SQL statement. With a name, each connection prepares it once; without a name, the server plans it at
 * each use.
 */
export type Statement = {
  readonly name?: string;
  readonly text: string;
  /** True puts the statement before all others that wait for a connection. */
  readonly isUrgent?: true;
};

/** Runs statements on any free connection. The methods reject with an AirlockError. */
export type Database = {
  rows<Row>(statement: Statement, values?: readonly unknown[]): Promise<Row[]>;
  /** Resolves to the number of changed rows. */
  change(statement: Statement, values?: readonly unknown[]): Promise<number>;
  close(): Promise<void>;
};

/** A text as BYTEA, because TEXT cannot hold U+0000. A row returns it as a text. */
export function bytes(text: string | null): Buffer | null {
  return text === null ? null : Buffer.from(text);
}

/** The settings of every connection of this router. Rejects when a certificate cannot be read. */
export async function readClientConfig({ address, url }: PostgresConfig): Promise<ClientConfig> {
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
    application_name: "airlock-router",
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    query_timeout: ANSWER_TIMEOUT_MS,
    lock_timeout: LOCK_TIMEOUT_MS,
    idle_in_transaction_session_timeout: STATEMENT_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    types: rowTypes(),
  };
}

/**
 * A pool of at most `max` connections, which are opened when they are needed. A statement waits here for a
 * free connection, and not in the driver, because the driver's timeout does not tell a busy pool from a
 * server that is away. `circuit` refuses statements at once while the server is away.
 */
export function openPool(
  client: ClientConfig,
  max: number,
  circuit: CircuitBreaker,
  clock: Clock,
  log: Log,
): Database {
  const turns = createStatementTurns(max, TURN_TIMEOUT_MS, clock);
  const pool = new Pool({ ...client, max, idleTimeoutMillis: 60_000 });
  pool.on("error", (error) => log.warn({ reason: describe(error) }, "idle database connection lost"));
  const query = async ({ isUrgent, ...statement }: Statement, values: readonly unknown[] = []) => {
    const ask = () => circuit.run(() => pool.query({ ...statement, values: [...values] }));
    try {
      return await turns.run(ask, isUrgent);
    } catch (error) {
      throw toStoreError(error);
    }
  };
  return {
    rows: async (statement, values) => (await query(statement, values)).rows,
    change: async (statement, values) => (await query(statement, values)).rowCount ?? 0,
    close: () => pool.end(),
  };
}

/**
 * Parsers that make rows look as SQLite's do: BIGINT becomes a number (ours are milliseconds, bytes and
 * counts), BYTEA a text.
 */
function rowTypes(): TypeOverrides {
  const types = new TypeOverrides();
  types.setTypeParser(INT8, Number);
  types.setTypeParser(BYTEA, (hex: string) => Buffer.from(hex.slice("\\x".length), "hex").toString());
  return types;
}
