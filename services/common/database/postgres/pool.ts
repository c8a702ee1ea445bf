import { type ClientConfig, Pool, type PoolClient, type QueryResult } from "pg";
import { AirlockError } from "../../errors.ts";
import type { CircuitBreaker } from "../../resilience/circuit-breaker.ts";
import type { Clock } from "../../resilience/clock.ts";
import type { Log } from "../../service/log.ts";
import type { Database, Statement, Statements } from "../database.ts";
import { createStatementTurns } from "../statement-turns.ts";
import { describe, toDatabaseError } from "./errors.ts";

// Milliseconds that a statement waits for a free connection before it is rejected: less than the gateway's
// timeout for a submission. Statements take milliseconds, so a longer wait means that thousands wait or that
// the server hangs.
const TURN_TIMEOUT_MS = 10_000;

/** An SQL statement of PostgreSQL. The server plans a statement without a name anew at each use. */
export type PostgresStatement = Statement & { readonly text: string };

/**
 * A PostgreSQL database. Parameters of statements may be of every type that the driver takes, such as arrays
 * and booleans.
 */
export type PostgresDatabase = Database<unknown>;

const PING = { name: "ping", text: "SELECT 1" };

/**
 * A pool of at most `max` connections, which are opened when they are needed. A statement waits for a free
 * connection in a queue of this function and not in the driver, because the driver reports a busy pool with
 * the same error as a server that cannot be reached. `circuit` refuses statements at once while the server
 * cannot be reached.
 */
export function openPool(
  client: ClientConfig,
  max: number,
  circuit: CircuitBreaker,
  clock: Clock,
  log: Log,
): PostgresDatabase {
  const turns = createStatementTurns(max, TURN_TIMEOUT_MS, clock);
  const pool = new Pool({ ...client, max, idleTimeoutMillis: 60_000 });
  pool.on("error", (error) => log.warn({ reason: describe(error) }, "idle database connection lost"));

  /** Runs `work`, one exchange with the server, through the circuit breaker. Rejects with an AirlockError. */
  const ask = async <Result>(work: () => Promise<Result>, inTurn = circuit.run) => {
    try {
      return await inTurn(work);
    } catch (error) {
      throw toDatabaseError(error);
    }
  };
  const db = statementsBy(({ isUrgent, ...statement }, values) =>
    ask(
      () => pool.query({ ...queryOf(statement), values: [...values] }),
      (work) => turns.run(() => circuit.run(work), isUrgent),
    ),
  );

  const inTransaction = async <Result>(work: (statements: Statements<unknown>) => Promise<Result>) => {
    const connection = await ask(() => pool.connect());
    // Without a listener, the loss of a connection between two statements would end the process.
    const lost = (error: Error) => log.warn({ reason: describe(error) }, "database connection lost");
    connection.on("error", lost);
    let isUsable = true;
    try {
      const statements = statementsBy((statement, values) =>
        ask(() => connection.query({ ...queryOf(statement), values: [...values] })),
      );
      await ask(() => connection.query("BEGIN"));
      const result = await work(statements);
      await ask(() => connection.query("COMMIT"));
      return result;
    } catch (error) {
      isUsable = await rollBack(connection, error);
      throw error;
    } finally {
      connection.off("error", lost);
      connection.release(!isUsable);
    }
  };

  return {
    ...db,
    transaction: (work) => turns.run(() => inTransaction(work)),
    async ping() {
      await db.rows(PING);
    },
    close: () => pool.end(),
  };
}

/** Undoes the transaction that failed with `error`. Resolves to whether the connection can be used again. */
async function rollBack(connection: PoolClient, error: unknown): Promise<boolean> {
  // A server that has not answered the failed statement would not answer ROLLBACK either. The server undoes
  // the transaction when the connection is closed.
  if (error instanceof AirlockError && error.code === "unavailable") return false;
  return await connection.query("ROLLBACK").then(
    () => true,
    () => false,
  );
}

function queryOf({ name, text }: Statement): { name?: string; text: string } {
  return { ...(name !== undefined && { name }), text: typeof text === "string" ? text : text.postgres };
}

function statementsBy(
  query: (statement: Statement, values: readonly unknown[]) => Promise<QueryResult>,
): Statements<unknown> {
  return {
    rows: async (statement, values = []) => (await query(statement, values)).rows,
    change: async (statement, values = []) => (await query(statement, values)).rowCount ?? 0,
  };
}
