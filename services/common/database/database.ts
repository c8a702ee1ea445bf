import type { Dialect } from "./tables.ts";

/**
 * An SQL statement with its values as `$1`, `$2` and so on. The text is the same for both dialects, or one
 * text each. The name belongs to the text alone: a connection prepares a statement with a name once, one
 * without a name at each use.
 */
export type Statement = {
  readonly name?: string;
  readonly text: string | Readonly<Record<Dialect, string>>;
  /** True puts the statement before all others that wait for a connection. */
  readonly isUrgent?: true;
};

/** A value of a statement. Times are numbers of milliseconds, and truth values are 0 and 1. */
export type Value = string | number | null | Uint8Array;

/** Runs statements. The methods reject with an AirlockError. */
export type Statements<Input = Value> = {
  rows<Row>(statement: Statement, values?: readonly Input[]): Promise<Row[]>;
  /** Resolves to the number of changed rows. */
  change(statement: Statement, values?: readonly Input[]): Promise<number>;
};

/** The database of one service. Statements that are called at the same time may run in any order. */
export type Database<Input = Value> = Statements<Input> & {
  /**
   * Runs `work`, and keeps all changes of its statements or none: none when it rejects. `work` may use the
   * statements that it is given only, because statements of the database itself may wait for its end.
   * Statements of others may see rows as they were before.
   */
  transaction<Result>(work: (statements: Statements<Input>) => Promise<Result>): Promise<Result>;
  /** Rejects when the database does not answer. */
  ping(): Promise<void>;
  close(): Promise<void>;
};
