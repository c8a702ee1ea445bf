import type { DatabaseSync, StatementSync } from "node:sqlite";
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
import type { LongText, OutputFrom, Reading } from "../store.ts";
import { inScope, type SubmitterRow, scopeValues, toSubmitter } from "../submitters.ts";

type HeadRow = ExecutionRow &
  SubmitterRow & { readonly apart_bytes: number; readonly last_position: number | null };
type OutputRow = {
  readonly position: number;
  readonly stdout_bytes: number;
  readonly stderr_bytes: number;
};

/**
 * The most bytes of a stored text that one SQL statement reads. For each part of a text SQLite reads the text
 * again from its beginning, which takes some milliseconds for so many bytes.
 */
const READ_BYTES = 16 * 1024 * 1024;

const WRITTEN = [
  ["result", "result"],
  ["memoryUpdates", "memory_updates"],
] as const satisfies readonly (readonly [LongText, string])[];

/**
 * Returns a function that reads one execution, and its long texts in slices. The bytes are passed on as they
 * are stored, without decoding them to strings.
 */
export function createSqliteReading(db: DatabaseSync) {
  const selectHead = db.prepare(
    `SELECT ${HEAD_COLUMNS}, apart_bytes, (SELECT max(position) FROM execution_output
       WHERE execution_output.execution_id = executions.execution_id) AS last_position
     FROM executions WHERE execution_id = ?1 AND ${inScope("?2", "?3")}`,
  );
  const selectOutput = db.prepare(
    `SELECT position, octet_length(stdout) AS stdout_bytes, octet_length(stderr) AS stderr_bytes FROM execution_output
     WHERE execution_id = ? AND position > ? AND position <= ? ORDER BY position LIMIT 1`,
  );
  const selectStart = db.prepare(findStart({ id: "?1", last: "?2", stdout: "?3", stderr: "?4" }));
  const slice = (column: string, rest: string) =>
    db.prepare(`SELECT substr(CAST(${column} AS BLOB), ?1, ${READ_BYTES}) AS bytes ${rest}`);
  const ofOutput = "FROM execution_output WHERE execution_id = ?2 AND position = ?3";
  const output = { stdout: slice("stdout", ofOutput), stderr: slice("stderr", ofOutput) };
  const ofRow = "FROM executions WHERE execution_id = ?2";
  const written = { result: slice("result", ofRow), memory_updates: slice("memory_updates", ofRow) };
  const selectApart = db.prepare(
    `SELECT CAST(piece AS BLOB) AS bytes FROM long_texts WHERE execution_id = ? AND field = ? AND position = ?`,
  );
  function* slices(text: LongText, bytes: Uint8Array): Generator<Slice> {
    for (let from = 0; from < bytes.length; from += SLICE_BYTES) {
      yield { text, bytes: bytes.subarray(from, from + SLICE_BYTES) };
    }
  }
  const bytesOf = (statement: StatementSync, ...values: (string | number)[]) =>
    (statement.get(...values) as { bytes: Uint8Array } | undefined)?.bytes;

  function* outputSlices(executionId: string, last: number, start: OutputStart): Generator<Slice> {
    const skip = new Skip(start.from);
    for (let { after } = start; ; ) {
      const row = selectOutput.get(executionId, after, last) as OutputRow | undefined;
      if (!row) return;
      after = row.position;
      for (const text of ["stdout", "stderr"] as const) {
        const size = row[`${text}_bytes`];
        const passed = skip.next(text, size);
        for (let from = 1 + passed; from <= size; from += READ_BYTES) {
          const bytes = bytesOf(output[text], from, executionId, after);
          if (!bytes) return;
          yield* slices(text, passed > 0 && from === 1 + passed ? fromCharacter(bytes) : bytes);
        }
      }
    }
  }

  function* writtenSlices(executionId: string, hasTextsApart: boolean): Generator<Slice> {
    for (const [text, column] of WRITTEN) {
      let isInRow = false;
      for (let from = 1; ; from += READ_BYTES) {
        const bytes = bytesOf(written[column], from, executionId);
        if (!bytes || bytes.length === 0) break;
        isInRow = true;
        yield* slices(text, bytes);
        if (bytes.length < READ_BYTES) break;
      }
      for (let position = 0; hasTextsApart && !isInRow; position++) {
        const bytes = bytesOf(selectApart, executionId, column, position);
        if (!bytes) break;
        yield { text, bytes };
      }
    }
  }

  const startAt = (executionId: string, from: OutputFrom, last: number): OutputStart =>
    startOf(from, selectStart.get(executionId, last, from.stdout, from.stderr) as StartRow, last);

  return (executionId: string, from?: OutputFrom, scope?: Scope): Reading | undefined => {
    const row = selectHead.get(executionId, ...scopeValues(scope)) as HeadRow | undefined;
    if (!row) return undefined;
    const last = row.last_position ?? -1;
    const start = from ? startAt(executionId, from, last) : BEGINNING;
    const execution = toExecution(row, { stdout: "", stderr: "" });
    return {
      execution,
      submitter: toSubmitter(row),
      skippedBytes: start.skippedBytes,
      pieces: () =>
        piecesOfSlices(
          (async function* () {
            if ("ending" in execution.state) yield* writtenSlices(executionId, row.apart_bytes > 0);
            yield* outputSlices(executionId, last, start);
          })(),
        ),
    };
  };
}
