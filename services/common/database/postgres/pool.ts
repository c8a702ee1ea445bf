import type { ClientConfig, QueryConfig, QueryResult } from "pg";
import { AirlockError } from "../../errors.ts";
import type { CircuitBreaker } from "../../resilience/circuit-breaker.ts";
import type { Clock } from "../../resilience/clock.ts";
import type { Log } from "../../service/log.ts";
import type { Database, Statement, Statements } from "../database.ts";
import { createStatementTurns } from "../statement-turns.ts";
import { type Connection, openConnections, type Sent } from "./connections.ts";
import { toDatabaseError } from "./errors.ts";

// Milliseconds that a statement without a deadline of its own waits for a free connection before it is
// rejected. Statements take milliseconds, so a longer wait means that the server hangs.
const TURN_TIMEOUT_MS = 30_000;
// Milliseconds until a connection is tried again that could not be opened although others answer.
const OPEN_AGAIN_MS = 250;
// The most statements in one round trip.
const MAX_TOGETHER = 16;
// A statement cannot be taken back once it is sent, although its caller may give up. When the answers of one
// round trip take longer than this many milliseconds, statements are sent one by one again.
const LONG_ANSWERS_MS = 250;

/** An SQL statement of PostgreSQL. The server plans a statement without a name anew at each use. */
export type PostgresStatement = Statement & { readonly text: string };

/**
 * A PostgreSQL database. Parameters of statements may be of every type that the driver takes, such as arrays
 * and booleans.
 */
export type PostgresDatabase = Database<unknown>;

const PING: Statement = { name: "ping", isUrgent: true, text: "SELECT 1" };

/**
 * A pool of at most `max` connections, which are opened when they are needed. A statement waits for a free
 * connection in a queue of this function and not in the driver, because the driver reports a busy pool with
 * the same error as a server that cannot be reached. When many statements wait, a connection that becomes free
 * takes its share of them in one round trip. `circuit` refuses statements at once while the server cannot be
 * reached; a round trip counts once, and the wait in the queue not at all.
 */
export function openPool(
  client: ClientConfig,
  max: number,
  circuit: CircuitBreaker,
  clock: Clock,
  log: Log,
): PostgresDatabase {
  const turns = createStatementTurns(max, TURN_TIMEOUT_MS, clock);
  const connections = openConnections(client, max, clock, log);
  const waiting = { urgent: new Set<Sent>(), others: new Set<Sent>() };
  const answerListeners = new Set<() => void>();
  let answers = 0;
  // How many statements one round trip may have. The number doubles after each whose answers came soon.
  let together = 1;

  /** Removes from the waiting statements those that a free connection sends together. */
  const takeShare = (): Sent[] => {
    const all = [...waiting.urgent, ...waiting.others];
    const share = all.slice(0, Math.min(together, Math.ceil(all.length / max)));
    for (const sent of share) for (const queue of Object.values(waiting)) queue.delete(sent);
    return share;
  };
  const isWaiting = (sent: Sent) => waiting.urgent.has(sent) || waiting.others.has(sent);

  /**
   * Uses one turn of a connection for the statements that wait. Resolves to false when `sent` was not among
   * them, because urgent statements went before it, or because no connection could be opened although the
   * server answers on others. `sent` then needs another turn.
   */
  const exchange = async (sent: Sent): Promise<boolean> => {
    // The statement may have gone with others while its own turn had not come.
    if (!isWaiting(sent)) return true;
    const answersBefore = answers;
    let isOpen = false;
    try {
      await circuit.run(async () => {
        const connection = await connections.open();
        isOpen = true;
        try {
          // The statements are taken only now, so that another connection may have sent some meanwhile.
          const tookMs = await connection.send(takeShare());
          together = tookMs > LONG_ANSWERS_MS ? 1 : Math.min(together * 2, MAX_TOGETHER);
        } finally {
          connection.release();
        }
      });
    } catch (error) {
      // Each statement that was sent has its own outcome.
      if (isOpen) return !isWaiting(sent);
      if (answers === answersBefore) throw error;
      await new Promise<void>((resolve) => clock.after(OPEN_AGAIN_MS, resolve));
    }
    return !isWaiting(sent);
  };

  const ask = async (
    statement: Statement,
    values: readonly unknown[],
    signal?: AbortSignal,
  ): Promise<QueryResult> => {
    const outcome = Promise.withResolvers<QueryResult>();
    const { isUrgent = false } = statement;
    const queue = isUrgent ? waiting.urgent : waiting.others;
    const sent: Sent = {
      query: queryOf(statement, values),
      resolve(result) {
        answers += 1;
        for (const listener of answerListeners) listener();
        outcome.resolve(result);
      },
      reject: outcome.reject,
    };
    queue.add(sent);
    const wait = async () => {
      while (!(await turns.run(() => exchange(sent), isUrgent, signal)));
    };
    wait().catch((error: unknown) => {
      // A statement that is no longer in the queue has been sent, and only its answer says what became of it.
      if (queue.delete(sent)) outcome.reject(error);
    });
    try {
      return await outcome.promise;
    } catch (error) {
      throw toDatabaseError(error);
    }
  };

  const inTransaction = async <Result>(work: (statements: Statements<unknown>) => Promise<Result>) => {
    const guarded = async <T>(exchanged: () => Promise<T>) => {
      try {
        return await circuit.run(exchanged);
      } catch (error) {
        throw toDatabaseError(error);
      }
    };
    const connection = await guarded(connections.open);
    const run = (query: QueryConfig) => guarded(() => connection.query(query));
    let isUsable = true;
    try {
      await run({ text: "BEGIN" });
      const result = await work(statementsBy((statement, values) => run(queryOf(statement, values))));
      await run({ text: "COMMIT" });
      return result;
    } catch (error) {
      isUsable = await rollBack(connection, error);
      throw error;
    } finally {
      connection.release(isUsable);
    }
  };

  const db = statementsBy(ask);
  return {
    ...db,
    transaction: (work) => turns.run(() => inTransaction(work)),
    async ping() {
      // Every answer shows that the server is there, also while the ping itself waits for its turn.
      const answered = Promise.withResolvers<void>();
      answerListeners.add(answered.resolve);
      try {
        await Promise.race([db.rows(PING), answered.promise]);
      } finally {
        answerListeners.delete(answered.resolve);
      }
    },
    close: connections.close,
  };
}

/** Undoes the transaction that failed with `error`. Resolves to whether the connection can be used again. */
async function rollBack(connection: Connection, error: unknown): Promise<boolean> {
  // A server that has not answered the failed statement would not answer ROLLBACK either. The server undoes
  // the transaction when the connection is closed.
  if (error instanceof AirlockError && error.code === "unavailable") return false;
  return await connection.query({ text: "ROLLBACK" }).then(
    () => true,
    () => false,
  );
}

function queryOf({ name, text }: Statement, values: readonly unknown[]): QueryConfig {
  return {
    ...(name !== undefined && { name }),
    text: typeof text === "string" ? text : text.postgres,
    values: [...values],
  };
}

function statementsBy(
  query: (statement: Statement, values: readonly unknown[], signal?: AbortSignal) => Promise<QueryResult>,
): Statements<unknown> {
  return {
    rows: async (statement, values = [], signal) => (await query(statement, values, signal)).rows,
    change: async (statement, values = [], signal) => (await query(statement, values, signal)).rowCount ?? 0,
  };
}
