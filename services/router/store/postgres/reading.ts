import type { PostgresDatabase, PostgresStatement } from "#common/database/postgres/pool.ts";
import type { Scope } from "#common/identity/ownership.ts";
import {
  BEGINNING,
  findStart,
  fromCharacter,
  type OutputStart,
  Skip,
  type StartRow,
  startOf,
} from "../output-start.ts";
import { piecesOfSlices, SLICE_BYTES, type Slice } from "../reading.ts";
import { type ExecutionRow, HEAD_COLUMNS, toExecution } from "../rows.ts";
import type { OutputFrom, Reading } from "../store.ts";
import { inScope, type SubmitterRow, scopeValues, toSubmitter } from "../submitters.ts";

type HeadRow = ExecutionRow & SubmitterRow & { readonly last_position: number | null };
type OutputRow = {
  readonly position: number;
  /** The first bytes of the piece's stdout, in hexadecimal digits. */
  readonly stdout: string;
  /** The first bytes of the piece's stderr, in hexadecimal digits. */
  readonly stderr: string;
  readonly stdout_bytes: number;
  readonly stderr_bytes: number;
};

/**
 * Bytes of one slice of a large stored value. The slices are large, because the database server reads the
 * whole value again for each slice.
 */
const LARGE_SLICE_BYTES = 1024 * 1024;

const GET_HEAD: PostgresStatement = {
  name: "get-head",
  text: `SELECT ${HEAD_COLUMNS}, (SELECT max(position) FROM execution_output
      WHERE execution_output.execution_id = executions.execution_id) AS last_position
    FROM executions WHERE execution_id = $1 AND ${inScope("$2::text", "$3::text")}`,
};

/**
 * Reads the next pieces of an execution's output: at least one, and more until they have `SLICE_BYTES`
 * together.
 */
const READ_OUTPUT: PostgresStatement = {
  name: "read-output",
  text: `WITH next AS (
      SELECT position, stdout, stderr, octet_length(stdout) AS stdout_bytes, octet_length(stderr) AS stderr_bytes
      FROM execution_output WHERE execution_id = $1 AND position > $2 AND position <= $3 ORDER BY position LIMIT 500),
    summed AS (
      SELECT *, sum(stdout_bytes + stderr_bytes) OVER (ORDER BY position) - stdout_bytes - stderr_bytes AS before FROM next)
    SELECT position, stdout_bytes, stderr_bytes, ${hexOf("stdout", "1")} AS stdout, ${hexOf("stderr", "1")} AS stderr
    FROM summed WHERE before < ${SLICE_BYTES} ORDER BY position`,
};

const FIND_START: PostgresStatement = {
  name: "find-start",
  text: findStart({ id: "$1", last: "$2", stdout: "$3::bigint", stderr: "$4::bigint" }),
};

const READ_OUTPUT_SLICE = {
  stdout: outputSlice("stdout"),
  stderr: outputSlice("stderr"),
} as const;

const READ_WRITTEN_SLICE = {
  result: writtenSlice("result"),
  memoryUpdates: writtenSlice("memory_updates"),
} as const;

function hexOf(bytea: string, from: string): string {
  return `encode(substring(${bytea} FROM ${from} FOR ${LARGE_SLICE_BYTES}), 'hex')`;
}

function outputSlice(column: string): PostgresStatement {
  return {
    name: `read-${column}`,
    text: `SELECT ${hexOf(column, "$3::int")} AS hex FROM execution_output WHERE execution_id = $1 AND position = $2`,
  };
}

function writtenSlice(column: string): PostgresStatement {
  return {
    name: `read-${column}`,
    text: `SELECT ${hexOf(`convert_to(${column}, 'UTF8')`, "$2::int")} AS hex FROM executions WHERE execution_id = $1`,
  };
}

/**
 * Returns a function that reads one execution, and its long texts in slices. The database driver decodes a
 * whole row at once, so a long row would block the event loop.
 */
export function createPostgresReading(db: PostgresDatabase) {
  const slice = async (statement: PostgresStatement, ...values: unknown[]) => {
    const [row] = await db.rows<{ hex: string }>(statement, values);
    return Buffer.from(row?.hex ?? "", "hex");
  };

  async function* outputSlices(executionId: string, last: number, start: OutputStart): AsyncGenerator<Slice> {
    const skip = new Skip(start.from);
    for (let { after } = start; ; ) {
      const rows = await db.rows<OutputRow>(READ_OUTPUT, [executionId, after, last]);
      if (rows.length === 0) return;
      for (const row of rows) {
        after = row.position;
        for (const text of ["stdout", "stderr"] as const) {
          const size = row[`${text}_bytes`];
          const passed = skip.next(text, size);
          const first = Buffer.from(row[text], "hex");
          if (passed < first.length)
            yield { text, bytes: passed > 0 ? fromCharacter(first.subarray(passed)) : first };
          for (let from = 1 + Math.max(passed, LARGE_SLICE_BYTES); from <= size; from += LARGE_SLICE_BYTES) {
            const bytes = await slice(READ_OUTPUT_SLICE[text], executionId, after, from);
            yield { text, bytes: from === 1 + passed ? fromCharacter(bytes) : bytes };
          }
        }
      }
    }
  }

  async function* writtenSlices(executionId: string): AsyncGenerator<Slice> {
    for (const text of ["result", "memoryUpdates"] as const) {
      for (let from = 1; ; from += LARGE_SLICE_BYTES) {
        const bytes = await slice(READ_WRITTEN_SLICE[text], executionId, from);
        yield { text, bytes };
        if (bytes.length < LARGE_SLICE_BYTES) break;
      }
    }
  }

  const startAt = async (executionId: string, from: OutputFrom, last: number): Promise<OutputStart> => {
    const [row] = await db.rows<StartRow>(FIND_START, [executionId, last, from.stdout, from.stderr]);
    return row ? startOf(from, row, last) : BEGINNING;
  };

  return async (executionId: string, from?: OutputFrom, scope?: Scope): Promise<Reading | undefined> => {
    const [row] = await db.rows<HeadRow>(GET_HEAD, [executionId, ...scopeValues(scope)]);
    if (!row) return undefined;
    const { last_position: last } = row;
    const start = from && last !== null ? await startAt(executionId, from, last) : BEGINNING;
    const execution = toExecution(row, { stdout: "", stderr: "" });
    return {
      execution,
      submitter: toSubmitter(row),
      skippedBytes: start.skippedBytes,
      pieces: () =>
        piecesOfSlices(
          (async function* () {
            if ("ending" in execution.state) yield* writtenSlices(executionId);
            if (last !== null) yield* outputSlices(executionId, last, start);
          })(),
        ),
    };
  };
}
