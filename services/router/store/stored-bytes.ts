import type { Submission } from "#common/submission/submission.ts";

/** The columns of an execution that hold submitted or written texts. Each text may be megabytes. */
const COLUMNS = [
  "code",
  "settings",
  "memory",
  "llm_prompt",
  "llm_model",
  "llm_answer",
  "error",
  "result",
  "memory_updates",
] as const;

/**
 * The bytes that each execution counts besides its texts, for its row in the table and its entries in the
 * indexes.
 */
export const ROW_BYTES = 1_024;
/**
 * The bytes that each piece of output counts besides its text, for its row. A script that prints a little now
 * and then has many short pieces, so their rows must count too.
 */
export const PIECE_BYTES = 128;

/**
 * The most bytes that one deletion of ended executions removes; the last execution may exceed the number.
 * SQLite blocks the process while it deletes, 10 ms for 45 MB.
 */
export const DELETE_BYTES = 32 * 1024 * 1024;

const PIECE = `octet_length(stdout) + octet_length(stderr) + ${PIECE_BYTES}`;

/**
 * Returns an SQL expression for the bytes of an execution's output. `which`: an SQL condition that selects
 * pieces of the output; all pieces unless given.
 */
export function outputBytes(which = "TRUE"): string {
  return `(SELECT COALESCE(sum(${PIECE}), 0) FROM execution_output
    WHERE execution_output.execution_id = executions.execution_id AND ${which})`;
}

/** An SQL expression for the bytes of an execution's redaction counts. */
export const REDACTIONS = `COALESCE((SELECT octet_length(counts) FROM redaction_counts
  WHERE redaction_counts.execution_id = executions.execution_id), 0)`;
/** An SQL expression for the bytes that an execution stores in other tables than `executions`. */
export const BESIDE = `${outputBytes()} + ${REDACTIONS}`;

/**
 * Returns an SQL expression, for SQLite and PostgreSQL, for the bytes that an execution stores after a
 * statement has set the columns in `next` to the given parameters. Measuring is cheap, because octet_length
 * reads the length of a value and not the value. `beside`: an SQL expression for the bytes in other tables.
 */
export function storedBytes(
  next: Partial<Record<(typeof COLUMNS)[number], string>> = {},
  beside = BESIDE,
): string {
  const lengths = COLUMNS.map((column) => `COALESCE(octet_length(${next[column] ?? column}), 0)`);
  return [ROW_BYTES, ...lengths, beside].join(" + ");
}

/** Returns an SQL expression for the bytes of a new execution, which has only its submission. */
export function submittedBytes(code: string, settings: string, memory: string): string {
  // The columns `result` and `memory_updates` have short default values, which count as a part of the row.
  return [ROW_BYTES, ...[code, settings, memory].map((value) => `octet_length(${value})`)].join(" + ");
}

/** The bytes that a submission will count once it is stored. */
export function bytesOfSubmission({
  code,
  settings,
  memoryJson,
}: Pick<Submission, "code" | "settings" | "memoryJson">): number {
  const texts = [code, JSON.stringify(settings), memoryJson];
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), ROW_BYTES);
}
