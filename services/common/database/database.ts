import type { Dialect } from "./tables.ts";

/** An SQL statement for a service's database. The text refers to its parameters as `$1`, `$2` and so on. */
export type Statement = {
  /**
   * The name under which each connection prepares the statement once; undefined to prepare the statement at
   * each use. A name always stands for the same text.
   */
  readonly name?: string;
  /** The SQL: one text for both dialects, or one text for each. */
  readonly text: string | Readonly<Record<Dialect, string>>;
  /**
   * True puts the statement before all that are not urgent and wait for a connection; undefined puts it last.
   */
  readonly isUrgent?: true;
};

/** A parameter of a statement. Moments are epoch milliseconds, and truth values are 0 and 1. */
export type Value = string | number | null | Uint8Array;

/**
 * Runs statements. The methods reject with an AirlockError. When `signal` aborts while the statement waits for
 * a connection, they reject with the signal's reason, and the statement is not run.
 */
export type Statements<Input = Value> = {
  /** Resolves to the rows of the result. */
  rows<Row>(statement: Statement, values?: readonly Input[], signal?: AbortSignal): Promise<Row[]>;
  /** Resolves to the number of changed rows. */
  change(statement: Statement, values?: readonly Input[], signal?: AbortSignal): Promise<number>;
};

/** The database of one service. Statements that are called at the same time may run in any order. */
export type Database<Input = Value> = Statements<Input> & {
  /**
   * Runs `work` in a transaction. When `work` rejects, all its changes are undone. `work` may use only the
   * `statements` that it is given, because a statement of the database itself would wait for a connection,
   * perhaps for that of this transaction. Until the transaction has ended, other statements may see the rows
   * as they were before.
   */
  transaction<Result>(work: (statements: Statements<Input>) => Promise<Result>): Promise<Result>;
  /** Rejects when the database does not answer. */
  ping(): Promise<void>;
  close(): Promise<void>;
};
