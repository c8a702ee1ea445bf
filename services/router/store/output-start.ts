import type { OutputFrom } from "./store.ts";

/**
 * Returns an SQL query, for SQLite and PostgreSQL, that finds the first piece of an execution's output that
 * the caller does not have completely. `parameters`: the SQL parameters for the execution's id, the position
 * of the last piece, and the bytes of stdout and stderr that the caller has. In the result, `stdout_before`
 * and `stderr_before` are the bytes of the pieces before the found piece; `stdout` and `stderr` are the bytes
 * of all pieces up to `last`.
 */
export function findStart(parameters: Record<"id" | "last" | "stdout" | "stderr", string>): string {
  const { id, last, stdout, stderr } = parameters;
  const isKnown = `stdout_to <= ${stdout} AND stderr_to <= ${stderr}`;
  const largest = (what: string, which = "TRUE") =>
    `CAST(COALESCE(max(${what}) FILTER (WHERE ${which}), 0) AS BIGINT)`;
  return `SELECT min(position) FILTER (WHERE NOT (${isKnown})) AS position,
      ${largest("stdout_to", isKnown)} AS stdout_before, ${largest("stderr_to", isKnown)} AS stderr_before,
      ${largest("stdout_to")} AS stdout, ${largest("stderr_to")} AS stderr
    FROM (SELECT position, sum(octet_length(stdout)) OVER pieces AS stdout_to,
        sum(octet_length(stderr)) OVER pieces AS stderr_to
      FROM execution_output WHERE execution_id = ${id} AND position <= ${last}
      WINDOW pieces AS (ORDER BY position)) AS measured`;
}

export type StartRow = Readonly<Record<"stdout_before" | "stderr_before" | "stdout" | "stderr", number>> & {
  readonly position: number | null;
};

/**
 * The point in an execution's output at which reading starts: after the piece with position `after`, without
 * the first `from` bytes of each channel in the pieces that follow.
 */
export type OutputStart = {
  readonly after: number;
  readonly from: OutputFrom;
  /**
   * The bytes of stdout and stderr together that come before this point; 0 at the beginning of the output.
   */
  readonly skippedBytes: number;
};

export const BEGINNING: OutputStart = { after: -1, from: { stdout: 0, stderr: 0 }, skippedBytes: 0 };

/**
 * Computes from a row of the `findStart` query where reading starts. A row without a position means that the
 * caller has all stored output; reading then starts after `last`, the position of the last piece.
 */
export function startOf(from: OutputFrom, row: StartRow, last: number): OutputStart {
  return {
    after: row.position === null ? last : row.position - 1,
    from: { stdout: from.stdout - row.stdout_before, stderr: from.stderr - row.stderr_before },
    skippedBytes: Math.min(from.stdout, row.stdout) + Math.min(from.stderr, row.stderr),
  };
}

/** Counts how many bytes of stdout and stderr still have to be skipped while pieces of output are read. */
export class Skip {
  readonly #left: { stdout: number; stderr: number };

  constructor({ stdout, stderr }: OutputFrom) {
    this.#left = { stdout, stderr };
  }

  /**
   * Returns how many bytes at the beginning of the next piece of this channel (`text`) are skipped, because
   * the caller has them already. `bytes`: the length of that piece. Each call lowers the number of bytes that
   * are still skipped.
   */
  next(text: "stdout" | "stderr", bytes: number): number {
    const passed = Math.min(this.#left[text], bytes);
    this.#left[text] -= passed;
    return passed;
  }
}

/**
 * Returns `bytes` from their first whole UTF-8 character on, because the bytes that a caller has already may
 * end within a character.
 */
export function fromCharacter(bytes: Uint8Array): Uint8Array {
  let first = 0;
  while (((bytes[first] ?? 0) & 0xc0) === 0x80) first++;
  return bytes.subarray(first);
}
