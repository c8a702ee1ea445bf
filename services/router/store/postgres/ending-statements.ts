import type { PostgresStatement } from "#common/database/postgres/pool.ts";
import { outputBytes, PIECE_BYTES, REDACTIONS, storedBytes } from "../stored-bytes.ts";
import { REPLACE_PIECE, UNFINISHED } from "./statements.ts";

/**
 * Returns SQL for the redaction counts of the execution in the present row of `of`, with those in the JSON text
 * `added` added.
 */
function summedCounts(of: string, added: string): string {
  return `(SELECT jsonb_object_agg(name, count)::text FROM (
      SELECT name, sum(count::bigint) AS count FROM (
        SELECT * FROM jsonb_each_text(COALESCE(${of}.counts, '{}')::jsonb)
        UNION ALL SELECT * FROM jsonb_each_text(${added}::jsonb)) AS counted (name, count)
      GROUP BY name) AS summed)`;
}

/**
 * Adds to the redaction counts of an execution. Its `stored_bytes` are updated here only after its ending,
 * because before that its next change updates them.
 */
export const ADD_REDACTIONS: PostgresStatement = {
  name: "add-redactions",
  text: `WITH known AS (SELECT execution_id FROM executions WHERE execution_id = $1 FOR KEY SHARE),
    added AS (
      INSERT INTO redaction_counts (execution_id, counts) SELECT execution_id, $2::text FROM known
      ON CONFLICT (execution_id) DO UPDATE SET counts = ${summedCounts("redaction_counts", "excluded.counts")}
      RETURNING execution_id, octet_length(counts) AS bytes)
    UPDATE executions SET stored_bytes = ${storedBytes({}, `${outputBytes()} + added.bytes`)}
    FROM added WHERE executions.execution_id = added.execution_id AND end_reason IS NOT NULL`,
};

const LAST_PIECE = "octet_length($12::bytea) + octet_length($13::bytea)";
// SQL for the bytes beside the row once the last piece of output is stored. The piece may be stored already,
// because a connection can break between a commit and its answer, so the sum leaves out the stored piece.
const OUTPUT_WITH_LAST = `${LAST_PIECE} + CASE ${LAST_PIECE} WHEN 0 THEN 0 ELSE ${PIECE_BYTES} END
  + ${outputBytes("position <> $11::bigint")}`;

/**
 * Returns SQL that stores the ending and the last piece of output, in one transaction and one exchange with
 * the database server. `redactionBytes`: SQL for the bytes of the redaction counts.
 */
function finish(redactionBytes: string, before = "", after = ""): string {
  return `WITH ${before} ended AS (
      UPDATE executions SET status = $2, end_reason = $3, error = $4, result = $5, memory_updates = $6,
        truncated_stdout = $7, truncated_stderr = $8, execution_time_ms = GREATEST($9::bigint, execution_time_ms),
        ended_at_ms = $10, stored_bytes = ${storedBytes(
          { error: "$4::bytea", result: "$5::text", memory_updates: "$6::text" },
          `${OUTPUT_WITH_LAST} + ${redactionBytes}`,
        )}
      WHERE execution_id = $1 AND owner = $14 AND ${UNFINISHED}
      RETURNING execution_id, project, created_at_ms, started_at_ms, execution_time_ms, stored_bytes),
    last_piece AS (
      INSERT INTO execution_output (execution_id, position, stdout, stderr)
      SELECT execution_id, $11::bigint, $12::bytea, $13::bytea FROM ended
      WHERE length($12::bytea) + length($13::bytea) > 0 ${REPLACE_PIECE})${after}
    SELECT * FROM ended`;
}

export const FINISH: PostgresStatement = { name: "finish", isUrgent: true, text: finish(REDACTIONS) };

/** The same for an execution from which secrets were redacted since the counts were stored last. */
export const FINISH_REDACTED: PostgresStatement = {
  name: "finish-redacted",
  isUrgent: true,
  text: finish(
    "(SELECT octet_length(counts) FROM redacted)",
    `redacted AS (
      SELECT ${summedCounts("redaction_counts", "$15")} AS counts
      FROM executions LEFT JOIN redaction_counts USING (execution_id) WHERE execution_id = $1),`,
    `,
    stored_counts AS (
      INSERT INTO redaction_counts (execution_id, counts) SELECT execution_id, counts FROM ended, redacted
      ON CONFLICT (execution_id) DO UPDATE SET counts = excluded.counts)`,
  ),
};

export const FORCE_FINISH: PostgresStatement = {
  name: "force-finish",
  text: `UPDATE executions SET status = $2, end_reason = $3, error = $4, ended_at_ms = $5,
      stored_bytes = ${storedBytes({ error: "$4::bytea" })}
    WHERE execution_id = $1 AND ${UNFINISHED}`,
};
