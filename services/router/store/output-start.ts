import type { OutputFrom } from "./store.ts";

/**
 * SQL, for both databases, that finds the first piece of output that the caller does not have completely.
 * `stdout_before` and `stderr_before` are the bytes of the pieces before it, `stdout` and `stderr` the bytes
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
 * The point from which output is read: behind the piece with position `after`, and `from` bytes further on.
 */
export type OutputStart = {
  readonly after: number;
  readonly from: OutputFrom;
  /** The stored bytes of stdout and stderr together that come before the point; 0 at the beginning. */
  readonly skippedBytes: number;
};

export const BEGINNING: OutputStart = { after: -1, from: { stdout: 0, stderr: 0 }, skippedBytes: 0 };

/**
 * The place where reading starts, from a row of `findStart`. A row without a position means that all stored
 * output is skipped; reading then starts after `last`, the position of the last piece.
 */
export function startOf(from: OutputFrom, row: StartRow, last: number): OutputStart {
  return {
    after: row.position === null ? last : row.position - 1,
    from: { stdout: from.stdout - row.stdout_before, stderr: from.stderr - row.stderr_before },
    skippedBytes: Math.min(from.stdout, row.stdout) + Math.min(from.stderr, row.stderr),
  };
}

/** Counts the bytes that still have to be skipped while pieces are read. */
export class Skip {
  readonly #left: { stdout: number; stderr: number };

  constructor({ stdout, stderr }: OutputFrom) {
    this.#left = { stdout, stderr };
  }

  /** How many bytes at the beginning of the next value are skipped. `bytes` is the length of that value. */
  next(text: "stdout" | "stderr", bytes: number): number {
    const passed = Math.min(this.#left[text], bytes);
    this.#left[text] -= passed;
    return passed;
  }
}

/** The bytes from the first whole UTF-8 character on, because a skip may end within a character. */
export function fromCharacter(bytes: Uint8Array): Uint8Array {
  let first = 0;
  while (((bytes[first] ?? 0) & 0xc0) === 0x80) first++;
  return bytes.subarray(first);
}
