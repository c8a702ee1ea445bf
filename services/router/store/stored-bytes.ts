import type { Submission } from "#common/submission/submission.ts";

/** The columns of an execution that hold what was sent or written; each may be megabytes. */
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

/** What an execution counts for itself, in bytes: its row, and its places in the indexes. */
export const ROW_BYTES = 1_024;
/** The same for each piece of its output: a script that prints a little now and then has many short ones. */
export const PIECE_BYTES = 128;

/** In bytes: a deletion takes no more at once, but for its last execution. SQLite needs 10 ms for 45 MB. */
export const DELETE_BYTES = 32 * 1024 * 1024;

const PIECE = `octet_length(stdout) + octet_length(stderr) + ${PIECE_BYTES}`;

/** SQL of the bytes of an execution's output; `which` is a condition for its pieces. */
export function outputBytes(which = "TRUE"): string {
  return `(SELECT COALESCE(sum(${PIECE}), 0) FROM execution_output
    WHERE execution_output.execution_id = executions.execution_id AND ${which})`;
}

/** SQL of the bytes of what is known of redactions from an execution. */
export const REDACTIONS = `COALESCE((SELECT octet_length(counts) FROM redaction_counts
  WHERE redaction_counts.execution_id = executions.execution_id), 0)`;
/** SQL of the bytes that stand in other tables. */
export const BESIDE = `${outputBytes()} + ${REDACTIONS}`;

/**
 * SQL, for both databases, of the bytes that an execution takes once a statement has set the columns of `next` to
 * these parameters. In the databases octet_length reads no value, only its length. `beside`: SQL of the bytes in
 * other tables.
 */
export function storedBytes(
  next: Partial<Record<(typeof COLUMNS)[number], string>> = {},
  beside = BESIDE,
): string {
  const lengths = COLUMNS.map((column) => `COALESCE(octet_length(${next[column] ?? column}), 0)`);
  return [ROW_BYTES, ...lengths, beside].join(" + ");
}

/** The same for a new execution, which has only what was submitted. */
export function submittedBytes(code: string, settings: string, memory: string): string {
  // What the columns `result` and `memory_updates` begin with is part of the row.
  return [ROW_BYTES, ...[code, settings, memory].map((value) => `octet_length(${value})`)].join(" + ");
}

/** The same, before it is stored. */
export function bytesOfSubmission({
  code,
  settings,
  memoryJson,
}: Pick<Submission, "code" | "settings" | "memoryJson">): number {
  const texts = [code, JSON.stringify(settings), memoryJson];
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), ROW_BYTES);
}
