import type { DatabaseSync } from "node:sqlite";
import { pageQuery as commonPageQuery, type PageQuery } from "../page-query.ts";
import {
  DEAD_LETTER_COLUMNS,
  EXECUTION_COLUMNS,
  IS_DEAD_LETTER,
  QUEUE_COLUMNS,
  UNFINISHED_BYTES_COLUMNS,
} from "../rows.ts";
import type { ListFilter } from "../store.ts";
import { BESIDE as IN_TABLES, storedBytes, submittedBytes } from "../stored-bytes.ts";
import { inScope, SUBMITTER_COLUMNS } from "../submitters.ts";

export const UNFINISHED = "status IN ('pending', 'running', 'awaiting_llm')";

const SUBMISSION_COLUMNS =
  "execution_id, project, code, timeout_ms, settings, memory, created_at_ms, apart_bytes";
/**
 * An SQL expression for the bytes that an execution stores outside its row: output, redaction counts, and
 * long texts in `long_texts`.
 */
const BESIDE = `${IN_TABLES} + apart_bytes`;
/** An SQL condition: the execution is in the scope of the second and third parameter. */
const SCOPED = inScope("?2", "?3");

/**
 * Prepares all statements of the SQLite store except those of lists, because the text of these depends on the
 * filter.
 */
export function prepareStatements(db: DatabaseSync) {
  return {
    insert: db.prepare(
      `INSERT INTO executions (execution_id, project, status, owner, code, timeout_ms, settings, memory, created_at_ms,
       retry_of, retry_number, apart_bytes, tenant, principal, maker, stored_bytes)
       SELECT ?1, ?2, 'pending', ?3, ?4, ?5, ?6, ?7, ?8, ?12, ?13, ?14, ?15, ?16, ?17, ${submittedBytes("?4", "?6", "?7")} + ?14
       WHERE (?9 IS NULL OR (SELECT count(*) FROM executions WHERE project = ?2 AND ${UNFINISHED}) < ?9)
       AND (?10 IS NULL OR (SELECT count(*) FROM executions WHERE ${UNFINISHED}) < ?10)
       AND NOT EXISTS (SELECT 1 FROM held_projects WHERE project = ?2)
       AND NOT EXISTS (SELECT 1 FROM idempotency_keys WHERE key = ?11)
       AND NOT EXISTS (SELECT 1 FROM executions WHERE retry_of = ?12 AND retry_number = ?13)`,
    ),
    selectDeadLetter: db.prepare(
      `SELECT ${DEAD_LETTER_COLUMNS}, code, timeout_ms, settings, memory, apart_bytes, ${SUBMITTER_COLUMNS}
       FROM executions WHERE execution_id = ?1 AND ${IS_DEAD_LETTER} AND ${SCOPED}`,
    ),
    insertKey: db.prepare(
      `INSERT INTO idempotency_keys (key, fingerprint, execution_id, created_at_ms, tenant, principal)
       VALUES (?, ?, ?, ?, ?, ?)`,
    ),
    selectKey: db.prepare("SELECT fingerprint, execution_id FROM idempotency_keys WHERE key = ?"),
    deleteKeys: db.prepare(
      `DELETE FROM idempotency_keys WHERE key IN (SELECT key FROM idempotency_keys
       WHERE execution_id IS NULL AND created_at_ms < ? ORDER BY created_at_ms LIMIT ?)`,
    ),
    hold: db.prepare("INSERT INTO held_projects (project, held_at_ms) VALUES (?, ?) ON CONFLICT DO NOTHING"),
    unhold: db.prepare("DELETE FROM held_projects WHERE project = ?"),
    selectHeld: db.prepare("SELECT project FROM held_projects ORDER BY project"),
    countQueues: db.prepare(
      `SELECT ${QUEUE_COLUMNS.replaceAll("$1", "?1")} FROM executions WHERE ${UNFINISHED}`,
    ),
    select: db.prepare(
      `SELECT ${EXECUTION_COLUMNS}, apart_bytes FROM executions WHERE execution_id = ?1 AND ${SCOPED}`,
    ),
    selectUnfinishedBytes: db.prepare(
      `SELECT ${UNFINISHED_BYTES_COLUMNS} FROM executions WHERE ${UNFINISHED} GROUP BY project`,
    ),
    selectOutline: db.prepare(
      `SELECT status, execution_time_ms, ${storedBytes({}, BESIDE)} AS bytes FROM executions
       WHERE execution_id = ?1 AND ${SCOPED}`,
    ),
    selectOutput: db.prepare(
      "SELECT stdout, stderr FROM execution_output WHERE execution_id = ? ORDER BY position",
    ),
    insertOutput: db.prepare(
      `INSERT INTO execution_output (execution_id, position, stdout, stderr)
       SELECT execution_id, ?, ?, ? FROM executions WHERE execution_id = ? AND owner = ? AND ${UNFINISHED}
       ON CONFLICT (execution_id, position) DO UPDATE SET stdout = excluded.stdout, stderr = excluded.stderr`,
    ),
    claim: db.prepare(
      `UPDATE executions SET owner = ?, epoch = epoch + 1 WHERE execution_id IN
       (SELECT execution_id FROM executions WHERE status = 'pending' AND owner IS NULL ORDER BY execution_id LIMIT ?)
       RETURNING execution_id, project`,
    ),
    selectOwn: db.prepare(
      `SELECT execution_id, project, status FROM executions WHERE owner = ? AND ${UNFINISHED}`,
    ),
    release: db.prepare(
      `UPDATE executions SET owner = NULL WHERE execution_id = ? AND owner = ? AND ${UNFINISHED}`,
    ),
    claimOrphaned: db.prepare(
      `UPDATE executions SET owner = ?, epoch = epoch + 1 WHERE execution_id IN
       (SELECT execution_id FROM executions WHERE status IN ('running', 'awaiting_llm') AND owner IS NULL
        ORDER BY execution_id LIMIT ?)
       RETURNING execution_id, project, timeout_ms, epoch, granted, (SELECT COALESCE(max(position) + 1, 0)
         FROM execution_output WHERE execution_output.execution_id = executions.execution_id) AS next_position`,
    ),
    selectRun: db.prepare(
      `SELECT granted, epoch FROM executions WHERE execution_id = ? AND granted IS NOT NULL AND ${UNFINISHED}`,
    ),
    selectSubmission: db.prepare(`SELECT ${SUBMISSION_COLUMNS} FROM executions WHERE execution_id = ?`),
    start: db.prepare(
      `UPDATE executions SET status = 'running', started_at_ms = ?, granted = ?, execution_time_ms = 0
       WHERE execution_id = ? AND status = 'pending' AND owner = ?
       RETURNING ${SUBMISSION_COLUMNS}, epoch, cancel_requested`,
    ),
    markAwaiting: db.prepare(
      `UPDATE executions SET status = 'awaiting_llm', llm_id = ?1, llm_prompt = ?2, llm_model = ?3, llm_answer = NULL,
       execution_time_ms = MAX(?4, COALESCE(execution_time_ms, 0)),
       stored_bytes = ${storedBytes({ llm_prompt: "?2", llm_model: "?3", llm_answer: "NULL" }, BESIDE)}
       WHERE execution_id = ?5 AND owner = ?6 AND status = 'running' AND llm_id IS NOT ?1`,
    ),
    noteRunningTime: db.prepare(
      `UPDATE executions SET execution_time_ms = MAX(?1, COALESCE(execution_time_ms, 0))
       WHERE execution_id = ?2 AND owner = ?3 AND status = 'running'`,
    ),
    respond: db.prepare(
      `UPDATE executions SET status = 'running', llm_answer = ?1, stored_bytes = ${storedBytes({ llm_answer: "?1" }, BESIDE)}
       WHERE execution_id = ?2 AND status = 'awaiting_llm' AND llm_id = COALESCE(?3, llm_id)
       AND ${inScope("?4", "?5")}`,
    ),
    selectResponse: db.prepare("SELECT llm_answer FROM executions WHERE execution_id = ? AND llm_id = ?"),
    requestCancel: db.prepare(
      `UPDATE executions SET cancel_requested = 1 WHERE execution_id = ?1 AND ${UNFINISHED} AND ${SCOPED}`,
    ),
    selectCancel: db.prepare("SELECT cancel_requested FROM executions WHERE execution_id = ?"),
    finish: db.prepare(
      `UPDATE executions SET status = ?1, end_reason = ?2, error = ?3, result = ?4, memory_updates = ?5,
       truncated_stdout = ?6, truncated_stderr = ?7, ended_at_ms = ?9,
       execution_time_ms = CASE WHEN ?8 IS NULL THEN execution_time_ms ELSE MAX(?8, COALESCE(execution_time_ms, 0)) END,
       apart_bytes = apart_bytes + ?12,
       stored_bytes = ${storedBytes({ error: "?3", result: "?4", memory_updates: "?5" }, BESIDE)} + ?12
       WHERE execution_id = ?10 AND owner = ?11 AND ${UNFINISHED}`,
    ),
    forceFinish: db.prepare(
      `UPDATE executions SET status = ?1, end_reason = ?2, error = ?3, ended_at_ms = ?4,
       stored_bytes = ${storedBytes({ error: "?3" }, BESIDE)}
       WHERE execution_id = ?5 AND ${UNFINISHED}`,
    ),
    setRedactions: db.prepare(
      `INSERT INTO redaction_counts (execution_id, counts) SELECT execution_id, ?2 FROM executions WHERE execution_id = ?1
       ON CONFLICT (execution_id) DO UPDATE SET counts = excluded.counts`,
    ),
    selectRedactions: db.prepare("SELECT counts FROM redaction_counts WHERE execution_id = ?"),
    // This statement matters only for redactions that are stored after the ending, because the next change of
    // an unfinished execution counts its bytes anyway.
    recountEnded: db.prepare(
      `UPDATE executions SET stored_bytes = ${storedBytes({}, BESIDE)} WHERE execution_id = ? AND end_reason IS NOT NULL`,
    ),
    selectUnfinished: db.prepare(
      `SELECT 1 FROM executions WHERE execution_id = ? AND owner = ? AND ${UNFINISHED}`,
    ),
    selectResult: db.prepare("SELECT result FROM executions WHERE execution_id = ?"),
    selectExists: db.prepare("SELECT 1 FROM executions WHERE execution_id = ?"),
    selectSeen: db.prepare(`SELECT 1 FROM executions WHERE execution_id = ?1 AND ${SCOPED}`),
    selectStoredBytes: db.prepare("SELECT project, bytes FROM stored_bytes WHERE bytes > 0"),
    selectStoredBytesOf: db.prepare("SELECT bytes FROM stored_bytes WHERE project = ?"),
    selectCapacity: db.prepare(
      `SELECT (SELECT COALESCE(sum(bytes), 0) FROM stored_bytes) AS counted, page_count AS pages,
         freelist_count AS free, page_size AS page_bytes
       FROM pragma_page_count, pragma_freelist_count, pragma_page_size`,
    ),
    // The two queries for ended executions read only indexes and no rows, because the indexes contain all
    // these columns.
    selectEndedBefore: db.prepare(
      `SELECT execution_id, stored_bytes FROM executions WHERE ended_at_ms < ?
       ORDER BY ended_at_ms, execution_id LIMIT ?`,
    ),
    selectEndedOf: db.prepare(
      `SELECT execution_id, stored_bytes FROM executions WHERE project = ? AND ended_at_ms IS NOT NULL
       ORDER BY ended_at_ms, execution_id LIMIT ?`,
    ),
    delete: db.prepare("DELETE FROM executions WHERE execution_id = ?"),
  };
}

/** Builds the query for one page of a list. */
export function pageQuery(
  columns: string,
  filter: Partial<ListFilter> & { readonly limit: number },
  only?: string,
): PageQuery {
  // SQLite has no statistics here, and would take any index with an equal column, then sort all that it finds.
  const { text, values } = commonPageQuery(columns, filter, only, (column) => `+${column}`);
  return { text: text.replaceAll("$", "?"), values };
}
