import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Clock } from "../../resilience/clock.ts";
import type { Database, Statement, Statements } from "../database.ts";
import { createStatementTurns } from "../statement-turns.ts";
import type { ServiceTables } from "../tables.ts";
import { toDatabaseError } from "./errors.ts";
import { openSqliteFile, rollBack } from "./file.ts";

// Milliseconds that a statement waits for the only connection before it is rejected; the same as for
// connections of PostgreSQL.
const TURN_TIMEOUT_MS = 30_000;

/** Opens a service's SQLite file as its database. Throws when the file cannot be used. */
export function openSqliteDatabase(path: string, tables: ServiceTables, clock: Clock): Database {
  const file = openSqliteFile(path, tables);
  const now = statementsOf(file.db);
  // Only one statement or transaction runs at a time. All callers share one connection, so a statement that
  // ran between the statements of a transaction would become a part of that transaction.
  const turns = createStatementTurns(1, TURN_TIMEOUT_MS, clock);
  const inTransaction = async <Result>(work: (statements: Statements) => Promise<Result>) => {
    await now.change({ text: "BEGIN IMMEDIATE" });
    try {
      const result = await work(now);
      await now.change({ text: "COMMIT" });
      return result;
    } catch (error) {
      rollBack(file.db);
      throw error;
    }
  };
  return {
    rows: (statement, values, signal) =>
      turns.run(() => now.rows(statement, values), statement.isUrgent, signal),
    change: (statement, values, signal) =>
      turns.run(() => now.change(statement, values), statement.isUrgent, signal),
    transaction: (work) => turns.run(() => inTransaction(work)),
    async ping() {
      await now.rows({ name: "ping", text: "SELECT 1" });
    },
    close: file.close,
  };
}

/** Runs statements on the connection `db` at once, without waiting for other statements. */
function statementsOf(db: DatabaseSync): Statements {
  const prepared = new Map<string, StatementSync>();
  const prepare = ({ name, text }: Statement): StatementSync => {
    const own = typeof text === "string" ? text : text.sqlite;
    const known = prepared.get(own);
    if (known) return known;
    // SQLite writes the number of a parameter as ?1, and would take $1 for the name of a parameter.
    const statement = db.prepare(own.replace(/\$(\d)/g, "?$1"));
    if (name !== undefined) prepared.set(own, statement);
    return statement;
  };
  const run = async <Result>(work: () => Result): Promise<Result> => {
    try {
      return work();
    } catch (error) {
      throw toDatabaseError(error);
    }
  };
  return {
    rows: <Row>(statement: Statement, values = []) => run(() => prepare(statement).all(...values) as Row[]),
    change: (statement, values = []) => run(() => Number(prepare(statement).run(...values).changes)),
  };
}
