import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Clock } from "../../resilience/clock.ts";
import type { Database, Statement, Statements } from "../database.ts";
import { createStatementTurns } from "../statement-turns.ts";
import type { ServiceTables } from "../tables.ts";
import { toDatabaseError } from "./errors.ts";
import { openSqliteFile, rollBack } from "./file.ts";

// The timeout for the one connection: as for those of PostgreSQL.
const TURN_TIMEOUT_MS = 10_000;

/** Opens a service's SQLite file as its database. Throws when the file cannot be used. */
export function openSqliteDatabase(path: string, tables: ServiceTables, clock: Clock): Database {
  const file = openSqliteFile(path, tables);
  const now = statementsOf(file.db);
  // All callers share one connection, so that a statement that came between the statements of a transaction
  // would be a part of it.
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
    rows: (statement, values) => turns.run(() => now.rows(statement, values), statement.isUrgent),
    change: (statement, values) => turns.run(() => now.change(statement, values), statement.isUrgent),
    transaction: (work) => turns.run(() => inTransaction(work)),
    async ping() {
      await now.rows({ name: "ping", text: "SELECT 1" });
    },
    close: file.close,
  };
}

/** The statements of a connection, which run at once. */
function statementsOf(db: DatabaseSync): Statements {
  const prepared = new Map<string, StatementSync>();
  const prepare = ({ name, text }: Statement): StatementSync => {
    const own = typeof text === "string" ? text : text.sqlite;
    const known = prepared.get(own);
    if (known) return known;
    // SQLite numbers values as ?1, and takes $1 for the name of a value.
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
