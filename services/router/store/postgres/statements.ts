import type { PostgresStatement } from "#common/database/postgres/pool.ts";
import { pageQuery } from "../page-query.ts";
import {
  DEAD_LETTER_COLUMNS,
  EXECUTION_COLUMNS,
  IS_DEAD_LETTER,
  QUEUE_COLUMNS,
  SUMMARY_COLUMNS,
  UNFINISHED_BYTES_COLUMNS,
} from "../rows.ts";
import type { ListFilter } from "../store.ts";
import { DELETE_BYTES, storedBytes, submittedBytes } from "../stored-bytes.ts";
import { inScope, SUBMITTER_COLUMNS } from "../submitters.ts";

// The column `owner` has the id of the router that owns the execution. The column's name stays, because
// routers of an earlier release use the same table while a deployment is upgraded.
export const UNFINISHED = "status IN ('pending', 'running', 'awaiting_llm')";
const SUBMISSION_COLUMNS =
  "executions.execution_id, project, code, timeout_ms, settings, memory, created_at_ms";

/** An SQL condition: the execution is in the scope of the parameters `first` and `first` + 1. */
function scoped(first: number): string {
  return inScope(`$${first}::text`, `$${first + 1}::text`);
}

// An SQL clause: a piece of output that is sent again, because the answer to its first insert was lost,
// replaces the first. A duplicate that arrives late, after a newer version of its piece, replaces nothing,
// because newer versions are longer.
export const REPLACE_PIECE = `ON CONFLICT (execution_id, position)
  DO UPDATE SET stdout = excluded.stdout, stderr = excluded.stderr
  WHERE length(execution_output.stdout) <= length(excluded.stdout)
    AND length(execution_output.stderr) <= length(excluded.stderr)`;

/**
 * Adds an execution, and its idempotency key if it has one. Of racing submissions with one key, the first
 * inserts the row of the key. The others wait for its commit and add nothing. When the project is held or a
 * queue is full, the key stays unused.
 */
export const INSERT: PostgresStatement = {
  name: "insert",
  text: `WITH room AS (
      SELECT WHERE NOT EXISTS (SELECT FROM held_projects WHERE project = $2) AND ($9::bigint IS NULL OR $9 > (SELECT count(*) FROM
          (SELECT 1 FROM executions WHERE project = $2 AND ${UNFINISHED} LIMIT $9) AS queue))
        AND ($10::bigint IS NULL OR $10 > (SELECT count(*) FROM
          (SELECT 1 FROM executions WHERE ${UNFINISHED} LIMIT $10) AS queues))),
    keyed AS (
      INSERT INTO idempotency_keys (key, fingerprint, execution_id, created_at_ms, tenant, principal)
      SELECT $11::text, $12::text, $1, $8, $15, $16 FROM room WHERE $11 IS NOT NULL
      ON CONFLICT (key) DO NOTHING RETURNING key)
    INSERT INTO executions
    (execution_id, project, status, owner, code, timeout_ms, settings, memory, created_at_ms, retry_of, retry_number,
      tenant, principal, maker, stored_bytes)
    SELECT $1::text, $2::text, 'pending', $3::text, $4::text, $5::bigint, $6::text, $7::text, $8::bigint,
      $13::text, $14::bigint, $15::text, $16::text, $17::text, ${submittedBytes("$4::text", "$6::text", "$7::text")}
    FROM room WHERE $11 IS NULL OR EXISTS (SELECT FROM keyed)
    ON CONFLICT (retry_of, retry_number) WHERE retry_of IS NOT NULL DO NOTHING`,
};

export const GET_DEAD_LETTER: PostgresStatement = {
  name: "get-dead-letter",
  text: `SELECT ${DEAD_LETTER_COLUMNS}, code, timeout_ms, settings, memory, ${SUBMITTER_COLUMNS} FROM executions
    WHERE execution_id = $1 AND ${IS_DEAD_LETTER} AND ${scoped(2)}`,
};

export const GET_IDEMPOTENCY_KEY: PostgresStatement = {
  name: "get-idempotency-key",
  text: "SELECT fingerprint, execution_id FROM idempotency_keys WHERE key = $1",
};

export const DELETE_IDEMPOTENCY_KEYS: PostgresStatement = {
  name: "delete-idempotency-keys",
  text: `WITH old AS (
      SELECT key FROM idempotency_keys WHERE execution_id IS NULL AND created_at_ms < $1
      ORDER BY created_at_ms LIMIT $2 FOR UPDATE SKIP LOCKED)
    DELETE FROM idempotency_keys USING old WHERE idempotency_keys.key = old.key`,
};

export const HOLD_PROJECT: PostgresStatement = {
  name: "hold-project",
  text: "INSERT INTO held_projects (project, held_at_ms) VALUES ($1, $2) ON CONFLICT DO NOTHING",
};

export const RELEASE_PROJECT: PostgresStatement = {
  name: "release-project",
  text: "DELETE FROM held_projects WHERE project = $1",
};

export const LIST_HELD_PROJECTS: PostgresStatement = {
  name: "list-held-projects",
  text: "SELECT project FROM held_projects ORDER BY project",
};

export const COUNT_QUEUES: PostgresStatement = {
  name: "count-queues",
  text: `SELECT ${QUEUE_COLUMNS} FROM executions WHERE ${UNFINISHED}`,
};

export const GET: PostgresStatement = {
  name: "get",
  text: `SELECT ${EXECUTION_COLUMNS}, output.* FROM executions CROSS JOIN LATERAL (
      SELECT COALESCE(string_agg(stdout, '' ORDER BY position), '') AS stdout,
        COALESCE(string_agg(stderr, '' ORDER BY position), '') AS stderr
      FROM execution_output WHERE execution_id = executions.execution_id) AS output
    WHERE execution_id = $1 AND ${scoped(2)}`,
};

export const COUNT_UNFINISHED_BYTES: PostgresStatement = {
  name: "count-unfinished-bytes",
  text: `SELECT ${UNFINISHED_BYTES_COLUMNS} FROM executions WHERE ${UNFINISHED} GROUP BY project`,
};

export const GET_OUTLINE: PostgresStatement = {
  name: "get-outline",
  text: `SELECT status, execution_time_ms, (${storedBytes()})::bigint AS bytes FROM executions
    WHERE execution_id = $1 AND ${scoped(2)}`,
};

type Query = { statement: PostgresStatement; values: unknown[] };

export function list(filter: ListFilter): Query {
  return page(SUMMARY_COLUMNS, filter);
}

export function listDeadLetters(filter: Omit<ListFilter, "status" | "retryOf">): Query {
  return page(DEAD_LETTER_COLUMNS, { ...filter, status: undefined }, IS_DEAD_LETTER);
}

/**
 * Builds the query for one page of a list. The statement has no name, because PostgreSQL's plan for a named
 * statement must fit any limit and would not use the index.
 */
function page(columns: string, filter: ListFilter, only?: string): Query {
  const { text, values } = pageQuery(columns, filter, only);
  return { statement: { text }, values };
}

/**
 * Claims pending executions that no router owns. Skips those that another router is claiming at this moment.
 */
export const CLAIM: PostgresStatement = {
  name: "claim",
  text: `WITH free AS (
      SELECT execution_id FROM executions WHERE owner IS NULL AND status = 'pending'
      ORDER BY execution_id LIMIT $2 FOR UPDATE SKIP LOCKED)
    UPDATE executions SET owner = $1, epoch = epoch + 1 FROM free
    WHERE executions.execution_id = free.execution_id RETURNING executions.execution_id, project`,
};

export const LIST_OWN: PostgresStatement = {
  name: "list-own",
  text: `SELECT execution_id, project, status FROM executions WHERE owner = $1 AND ${UNFINISHED}`,
};

export const CLAIM_ORPHANED: PostgresStatement = {
  name: "claim-lost",
  text: `WITH lost AS (
      SELECT execution_id FROM executions WHERE owner IS NULL AND status IN ('running', 'awaiting_llm')
      ORDER BY execution_id LIMIT $2 FOR UPDATE SKIP LOCKED)
    UPDATE executions SET owner = $1, epoch = epoch + 1 FROM lost
    WHERE executions.execution_id = lost.execution_id
    RETURNING executions.execution_id, project, timeout_ms, epoch, granted, (SELECT COALESCE(max(position) + 1, 0)
      FROM execution_output WHERE execution_output.execution_id = executions.execution_id) AS next_position`,
};

export const RELEASE: PostgresStatement = {
  name: "release",
  isUrgent: true,
  text: `UPDATE executions SET owner = NULL WHERE execution_id = $1 AND owner = $2 AND ${UNFINISHED}`,
};

export const RELEASE_ALL: PostgresStatement = {
  name: "release-all",
  text: `WITH gone AS (DELETE FROM routers WHERE router_id = $1)
    UPDATE executions SET owner = NULL WHERE owner = $1 AND ${UNFINISHED}`,
};

/**
 * Says that this router lives, and frees the executions of routers that have not said so for `$2`
 * milliseconds. Returns how many executions were freed, and how many other routers live.
 */
export const HEARTBEAT: PostgresStatement = {
  name: "heartbeat",
  isUrgent: true,
  text: `WITH alive AS (
      INSERT INTO routers (router_id, seen_at) VALUES ($1, now())
      ON CONFLICT (router_id) DO UPDATE SET seen_at = excluded.seen_at),
    gone AS (
      DELETE FROM routers WHERE router_id <> $1 AND seen_at < now() - $2 * interval '1 millisecond'
      RETURNING router_id),
    freed AS (
      UPDATE executions SET owner = NULL WHERE ${UNFINISHED} AND owner IN (SELECT router_id FROM gone) RETURNING 1)
    SELECT (SELECT count(*) FROM freed) AS freed, (SELECT count(*) FROM routers
      WHERE router_id <> $1 AND seen_at >= now() - $2 * interval '1 millisecond') AS others`,
};

export const GET_RUN: PostgresStatement = {
  name: "get-run",
  text: `SELECT granted, epoch FROM executions WHERE execution_id = $1 AND granted IS NOT NULL AND ${UNFINISHED}`,
};

export const GET_SUBMISSION: PostgresStatement = {
  name: "get-submission",
  text: `SELECT ${SUBMISSION_COLUMNS} FROM executions WHERE execution_id = $1`,
};

/**
 * Starts an execution. The statement is urgent, as the other steps of runs are, so that workers do not wait
 * behind thousands of submissions. A router may send this statement twice with the same time, because the answer to the
 * first may be lost. The second then succeeds too.
 */
export const START: PostgresStatement = {
  name: "start",
  isUrgent: true,
  text: `UPDATE executions SET status = 'running', started_at_ms = $2, granted = $4,
      execution_time_ms = COALESCE(execution_time_ms, 0)
    WHERE execution_id = $1 AND owner = $3 AND (status = 'pending' OR (status = 'running' AND started_at_ms = $2))
    RETURNING ${SUBMISSION_COLUMNS}, epoch, cancel_requested`,
};

export const MARK_AWAITING: PostgresStatement = {
  name: "mark-awaiting",
  isUrgent: true,
  text: `UPDATE executions SET status = 'awaiting_llm', llm_id = $2, llm_prompt = $3, llm_model = $4,
      llm_answer = NULL, execution_time_ms = GREATEST($5::bigint, execution_time_ms),
      stored_bytes = ${storedBytes({ llm_prompt: "$3::bytea", llm_model: "$4::bytea", llm_answer: "NULL::bytea" })}
    WHERE execution_id = $1 AND owner = $6 AND status = 'running' AND llm_id IS DISTINCT FROM $2`,
};

export const NOTE_RUNNING_TIME: PostgresStatement = {
  name: "note-running-time",
  text: `UPDATE executions SET execution_time_ms = GREATEST($2::bigint, execution_time_ms)
    WHERE execution_id = $1 AND owner = $3 AND status = 'running'`,
};

export const RESPOND: PostgresStatement = {
  name: "respond",
  text: `UPDATE executions SET status = 'running', llm_answer = $3,
      stored_bytes = ${storedBytes({ llm_answer: "$3::bytea" })}
    WHERE execution_id = $1 AND status = 'awaiting_llm' AND llm_id = COALESCE($2, llm_id) AND ${scoped(4)}`,
};

export const GET_RESPONSE: PostgresStatement = {
  name: "get-response",
  text: "SELECT llm_answer FROM executions WHERE execution_id = $1 AND llm_id = $2",
};

/**
 * Adds a piece of output. The lock on the execution's row prevents another connection from ending the
 * execution between the check of its status and the insert.
 */
export const APPEND_OUTPUT: PostgresStatement = {
  name: "append-output",
  text: `WITH unfinished AS (
      SELECT execution_id FROM executions WHERE execution_id = $1 AND owner = $5 AND ${UNFINISHED} FOR SHARE)
    INSERT INTO execution_output (execution_id, position, stdout, stderr)
    SELECT execution_id, $2::bigint, $3::bytea, $4::bytea FROM unfinished ${REPLACE_PIECE}`,
};

/**
 * Reads the redaction counts of an execution: one row when the execution is known. `rows`: redactions that
 * routers of an earlier release stored.
 */
export const GET_REDACTIONS: PostgresStatement = {
  name: "get-redactions",
  text: `SELECT counts, (SELECT json_agg(json_build_object('secret', secret, 'field', field, 'count', count))
      FROM execution_redactions WHERE execution_redactions.execution_id = executions.execution_id) AS rows
    FROM executions LEFT JOIN redaction_counts USING (execution_id) WHERE execution_id = $1 AND ${scoped(2)}`,
};

export const REQUEST_CANCEL: PostgresStatement = {
  name: "request-cancel",
  text: `UPDATE executions SET cancel_requested = TRUE
    WHERE execution_id = $1 AND ${UNFINISHED} AND ${scoped(2)}`,
};

export const GET_CANCEL: PostgresStatement = {
  name: "get-cancel",
  text: "SELECT cancel_requested FROM executions WHERE execution_id = $1",
};

/** Deletes ended executions, oldest first. Routers that delete at the same time delete different rows. */
export const DELETE_ENDED: PostgresStatement = {
  name: "delete-ended",
  text: `WITH old AS (
      SELECT execution_id, ended_at_ms, stored_bytes FROM executions WHERE ended_at_ms < $1
      ORDER BY ended_at_ms, execution_id LIMIT $2 FOR UPDATE SKIP LOCKED),
    summed AS (
      SELECT execution_id, sum(stored_bytes) OVER (ORDER BY ended_at_ms, execution_id) - stored_bytes AS before FROM old)
    DELETE FROM executions USING summed
    WHERE executions.execution_id = summed.execution_id AND before < ${DELETE_BYTES}`,
};

export const COUNT_STORED_BYTES: PostgresStatement = {
  name: "count-stored-bytes",
  text: "SELECT project, sum(bytes)::bigint AS bytes FROM stored_bytes GROUP BY project HAVING sum(bytes) > 0",
};

// The first number of PostgreSQL's advisory lock for removals, "size" in ASCII. The second number is the hash
// of the project's name.
const REMOVAL_LOCK = 0x73697a65;

/**
 * Deletes the oldest ended executions of a project that stores too much. Only one router at a time does so,
 * because two together would delete twice the excess. A router that gets the lock just after another has
 * selected from an old snapshot; its rows are gone, so it deletes nothing.
 */
export const DELETE_OLDEST_ENDED: PostgresStatement = {
  name: "delete-oldest-ended",
  text: `WITH turn AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(${REMOVAL_LOCK}, hashtext($1)) AS is_mine),
    excess AS (SELECT COALESCE(sum(bytes), 0) - $2::bigint AS bytes FROM stored_bytes WHERE project = $1),
    oldest AS (
      SELECT execution_id, ended_at_ms, stored_bytes FROM executions
      WHERE project = $1 AND ended_at_ms IS NOT NULL ORDER BY ended_at_ms, execution_id LIMIT $3),
    summed AS (
      SELECT execution_id, sum(stored_bytes) OVER (ORDER BY ended_at_ms, execution_id) - stored_bytes AS before
      FROM oldest),
    gone AS (
      DELETE FROM executions USING summed, excess, turn
      WHERE turn.is_mine AND executions.execution_id = summed.execution_id
        AND summed.before < LEAST(excess.bytes, ${DELETE_BYTES})
      RETURNING executions.execution_id)
    SELECT NOT turn.is_mine AS is_busy, (SELECT count(*) FROM gone) AS removed FROM turn`,
};

/**
 * Reads the state of executions that have listeners, as one text for each that differs after each change of
 * state.
 */
export const LOOK: PostgresStatement = {
  name: "look",
  text: `SELECT execution_id, concat_ws(' ', status, cancel_requested, llm_id) AS state FROM executions
    WHERE execution_id = ANY ($1)`,
};
