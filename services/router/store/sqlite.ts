import { EventEmitter } from "node:events";
import { closeSync, openSync } from "node:fs";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import type { Output, Redaction } from "../execution.ts";
import { statusOf } from "../execution.ts";
import { type ExecutionRow, type OutputRow, toExecution, toSubmission, toSummary } from "./sqlite-rows.ts";
import { MIGRATIONS } from "./sqlite-schema.ts";
import type { ExecutionStore } from "./store.ts";

const UNFINISHED = "status IN ('pending', 'running', 'awaiting_llm')";

/**
 * Opens the store in one SQLite file, for one router in one process. What was committed outlives the death of the
 * process; a power cut may take the last moments with it (docs/decisions/0001). Throws when the file cannot be opened.
 */
export function openSqliteStore(path: string): ExecutionStore {
  // SQLite gives its other files the mode of this one; what agents sent is nobody else's to read.
  closeSync(openSync(path, "a", 0o600));
  const db = new DatabaseSync(path);
  db.exec(
    "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 2000;",
  );
  migrate(db);
  const changes = new EventEmitter().setMaxListeners(0);

  const insert = db.prepare(
    `INSERT INTO executions (execution_id, project, status, code, timeout_ms, settings, memory, created_at_ms)
     VALUES (?, ?, 'pending', ?, ?, ?, ?, ?)`,
  );
  const select = db.prepare("SELECT * FROM executions WHERE execution_id = ?");
  const selectOutput = db.prepare(
    "SELECT stdout, stderr FROM execution_output WHERE execution_id = ? ORDER BY position",
  );
  const insertOutput = db.prepare(
    `INSERT INTO execution_output (execution_id, stdout, stderr)
     SELECT execution_id, ?, ? FROM executions WHERE execution_id = ? AND ${UNFINISHED}`,
  );
  const markRunning = db.prepare(
    `UPDATE executions SET status = 'running', started_at_ms = ? WHERE execution_id = ? AND status = 'pending'`,
  );
  const markAwaiting = db.prepare(
    `UPDATE executions SET status = 'awaiting_llm', llm_id = ?, llm_prompt = ?, llm_model = ?, llm_answer = NULL,
     execution_time_ms = ? WHERE execution_id = ? AND status = 'running'`,
  );
  const answer = db.prepare(
    `UPDATE executions SET status = 'running', llm_answer = ?
     WHERE execution_id = ? AND status = 'awaiting_llm' AND llm_id = COALESCE(?, llm_id)`,
  );
  const selectAnswer = db.prepare("SELECT llm_answer FROM executions WHERE execution_id = ? AND llm_id = ?");
  const requestCancel = db.prepare(
    `UPDATE executions SET cancel_requested = 1 WHERE execution_id = ? AND ${UNFINISHED}`,
  );
  const selectCancel = db.prepare("SELECT cancel_requested FROM executions WHERE execution_id = ?");
  const finish = db.prepare(
    `UPDATE executions SET status = ?, end_reason = ?, error = ?, result = ?, memory_updates = ?, truncated_stdout = ?,
     truncated_stderr = ?, execution_time_ms = COALESCE(?, execution_time_ms), ended_at_ms = ?
     WHERE execution_id = ? AND ${UNFINISHED}`,
  );
  const selectUnfinished = db.prepare(
    `SELECT execution_id, project, status FROM executions WHERE ${UNFINISHED} ORDER BY execution_id`,
  );
  const addRedaction = db.prepare(
    `INSERT INTO execution_redactions (execution_id, secret, field, count)
     SELECT execution_id, ?, ?, ? FROM executions WHERE execution_id = ?
     ON CONFLICT (execution_id, secret, field) DO UPDATE SET count = count + excluded.count`,
  );
  const selectRedactions = db.prepare(
    "SELECT secret, field, count FROM execution_redactions WHERE execution_id = ? ORDER BY secret, field",
  );
  const selectExists = db.prepare("SELECT 1 FROM executions WHERE execution_id = ?");
  const deleteEnded = db.prepare(
    `DELETE FROM executions WHERE execution_id IN
     (SELECT execution_id FROM executions WHERE ended_at_ms < ? ORDER BY ended_at_ms LIMIT ?)`,
  );

  const changed = (executionId: string, result: { changes: number | bigint }) => {
    if (Number(result.changes) === 0) return false;
    changes.emit(executionId);
    return true;
  };
  const inTransaction = <T>(work: () => T): T => {
    db.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      db.exec("COMMIT");
      return result;
    } catch (cause) {
      db.exec("ROLLBACK");
      throw cause;
    }
  };
  const find = (executionId: string) => select.get(executionId) as ExecutionRow | undefined;
  const addOutput = (executionId: string, { stdout, stderr }: Output) =>
    stdout === "" && stderr === "" ? { changes: 0 } : insertOutput.run(stdout, stderr, executionId);

  return {
    async insert(s) {
      insert.run(
        s.executionId,
        s.project,
        s.code,
        s.timeoutMs,
        JSON.stringify(s.settings),
        s.memoryJson,
        s.createdAtMs,
      );
    },
    async get(executionId) {
      const row = find(executionId);
      return row && toExecution(row, selectOutput.all(executionId) as OutputRow[]);
    },
    async getSubmission(executionId) {
      const row = find(executionId);
      return row && toSubmission(row);
    },
    async list({ project, status, limit, before }) {
      const conditions: string[] = [];
      const values: SQLInputValue[] = [];
      const where = (condition: string, value: SQLInputValue | undefined) => {
        if (value === undefined) return;
        conditions.push(condition);
        values.push(value);
      };
      where("project = ?", project);
      where("status = ?", status);
      where("execution_id < ?", before);
      const filter = conditions.length > 0 ? `WHERE ${conditions.join(" AND ")}` : "";
      const rows = db
        .prepare(
          `SELECT execution_id, project, status, end_reason, execution_time_ms, created_at_ms, ended_at_ms
           FROM executions ${filter} ORDER BY execution_id DESC LIMIT ?`,
        )
        .all(...values, limit);
      return (rows as ExecutionRow[]).map(toSummary);
    },
    async markRunning(executionId, startedAtMs) {
      return changed(executionId, markRunning.run(startedAtMs, executionId));
    },
    async markAwaiting(executionId, { id, prompt, model }, executionTimeMs) {
      return changed(executionId, markAwaiting.run(id, prompt, model, executionTimeMs, executionId));
    },
    async answer(executionId, questionId, response) {
      return changed(executionId, answer.run(response, executionId, questionId ?? null));
    },
    async getAnswer(executionId, questionId) {
      const row = selectAnswer.get(executionId, questionId) as { llm_answer: string | null } | undefined;
      return row?.llm_answer ?? undefined;
    },
    async appendOutput(executionId, output) {
      return Number(addOutput(executionId, output).changes) > 0;
    },
    async addRedactions(executionId, redactions) {
      if (redactions.length === 0) return;
      inTransaction(() => {
        for (const { secret, field, count } of redactions)
          addRedaction.run(secret, field, count, executionId);
      });
    },
    async getRedactions(executionId) {
      if (!selectExists.get(executionId)) return undefined;
      const rows = selectRedactions.all(executionId) as Redaction[];
      return rows.map(({ secret, field, count }) => ({ secret, field, count }));
    },
    async requestCancel(executionId) {
      return changed(executionId, requestCancel.run(executionId));
    },
    async isCancelRequested(executionId) {
      return (
        (selectCancel.get(executionId) as { cancel_requested: number } | undefined)?.cancel_requested === 1
      );
    },
    async finish(executionId, ending, output, endedAtMs) {
      const { reason, error, resultJson, memoryUpdatesJson, truncated, executionTimeMs } = ending;
      const result = inTransaction(() => {
        addOutput(executionId, output);
        return finish.run(
          statusOf(ending),
          reason,
          error,
          resultJson,
          memoryUpdatesJson,
          truncated.stdout,
          truncated.stderr,
          executionTimeMs,
          endedAtMs,
          executionId,
        );
      });
      return changed(executionId, result);
    },
    async listUnfinished() {
      const rows = selectUnfinished.all() as Pick<ExecutionRow, "execution_id" | "project" | "status">[];
      return rows.map((row) => ({ executionId: row.execution_id, project: row.project, status: row.status }));
    },
    async deleteEndedBefore(endedBeforeMs, limit) {
      return Number(deleteEnded.run(endedBeforeMs, limit).changes);
    },
    onChange(executionId, listener) {
      changes.on(executionId, listener);
      return () => changes.off(executionId, listener);
    },
    async close() {
      db.close();
    },
  };
}

function migrate(db: DatabaseSync): void {
  const { user_version: version } = db.prepare("PRAGMA user_version").get() as { user_version: number };
  if (version > MIGRATIONS.length) {
    throw new Error(
      `the database was written by a newer Airlock (schema ${version}); this one knows ${MIGRATIONS.length}`,
    );
  }
  MIGRATIONS.slice(version).forEach((migration, index) => {
    db.exec(`BEGIN; ${migration}; PRAGMA user_version = ${version + index + 1}; COMMIT;`);
  });
}
