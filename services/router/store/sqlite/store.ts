import { stat, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import type { SQLInputValue, StatementSync } from "node:sqlite";
import { refusalOfFull } from "#common/database/sqlite/errors.ts";
import { openSqliteFile } from "#common/database/sqlite/file.ts";
import { LOCAL_SUBMITTER } from "#common/identity/ownership.ts";
import { type Clock, systemClock } from "#common/resilience/clock.ts";
import type { Output, OutputPiece, Redaction } from "../../execution.ts";
import { statusOf } from "../../execution.ts";
import { createChangeListeners } from "../change-listeners.ts";
import { addCounts, toRedactions } from "../redaction-counts.ts";
import {
  type ClaimRow,
  DEAD_LETTER_COLUMNS,
  type DeadLetterRow,
  type ExecutionRow,
  IS_DEAD_LETTER,
  type KeyRow,
  type OrphanedRow,
  type OutlineRow,
  type OwnRow,
  type QueuesRow,
  type RunRow,
  type StartedRow,
  SUMMARY_COLUMNS,
  type SubmissionRow,
  type SummaryRow,
  toClaims,
  toDeadLetter,
  toExecution,
  toIdempotencyRecord,
  toOrphaned,
  toOutline,
  toOwn,
  toPlace,
  toQueues,
  toStarted,
  toSubmission,
  toSummary,
} from "../rows.ts";
import type { ExecutionStore, ListFilter, OwnChange, UnfinishedBytes } from "../store.ts";
import { type SubmitterRow, scopeValues, storedKey, toSubmitter } from "../submitters.ts";
import { ROUTER_TABLES } from "../tables.ts";
import { createSqliteDeletions } from "./deletions.ts";
import { createLongTexts, type InRow } from "./long-texts.ts";
import { createSqliteReading } from "./reading.ts";
import { pageQuery, prepareStatements, UNFINISHED } from "./statements.ts";

/**
 * The row of the capacity query. `counted`: the bytes that all projects store. `pages`: how many pages the
 * database has, including the `free` ones. `page_bytes`: the bytes of one page.
 */
type CapacityRow = Readonly<Record<"counted" | "pages" | "free" | "page_bytes", number>>;
type CountsRow = { readonly counts: string };
type Apart = { readonly execution_id: string; readonly apart_bytes: number };

const SUBMITTED = ["code", "settings", "memory"] as const;
const WRITTEN = ["result", "memory_updates"] as const;

// Disk space that executions must leave free, because SQLite's write-ahead log and the endings of running
// scripts need it.
const KEPT_FREE_BYTES = 256 * 1024 * 1024;
// With less free disk space than this, the reserve file is filled. It occupies disk space that is given back
// once the disk is full, so that endings, responses and cancellations can still be stored.
const SCARCE_BYTES = 2 * 1024 * 1024 * 1024;
// An ending with at most this many characters may use the space of the reserve file. A larger ending fails on
// a full disk, and is then recorded without its output.
const SMALL_ENDING_CHARACTERS = 128 * 1024;

/**
 * Opens the store in one SQLite file, for one router in one process. `routerId` is the id of this router.
 * Unfinished executions of an earlier router belong to no router afterwards, so that this router can claim
 * them. Throws when the file cannot be opened.
 */
export function openSqliteStore(
  path: string,
  routerId: string,
  clock: Pick<Clock, "now"> = systemClock,
): ExecutionStore {
  const { db, reserve, inTransaction, close } = openSqliteFile(path, ROUTER_TABLES);
  reserve.use(() => db.exec(`UPDATE executions SET owner = NULL WHERE owner IS NOT NULL AND ${UNFINISHED}`));
  const changes = createChangeListeners();

  const sql = prepareStatements(db);
  const longTexts = createLongTexts(db, reserve);
  const read = createSqliteReading(db);

  const changed = (executionId: string, took: boolean, kind: OwnChange["kind"]) => {
    if (took) changes.tell(executionId, { kind });
    return took;
  };
  const run = (statement: StatementSync, ...values: SQLInputValue[]) =>
    Number(statement.run(...values).changes);
  /** Whether the execution was deleted while its long texts were read, so that the texts are incomplete. */
  const isForgotten = (row: Apart) => row.apart_bytes > 0 && !sql.selectExists.get(row.execution_id);
  const addOutput = (executionId: string, { position, stdout, stderr }: OutputPiece) =>
    stdout === "" && stderr === ""
      ? 0
      : run(sql.insertOutput, position, stdout, stderr, executionId, routerId);

  const countRedactions = (executionId: string, redactions: readonly Redaction[]) => {
    const row = sql.selectRedactions.get(executionId) as CountsRow | undefined;
    sql.setRedactions.run(executionId, addCounts(redactions, row?.counts));
    sql.recountEnded.run(executionId);
  };

  /**
   * Stores long texts, then lets `changeRow` change the execution's row, which refers to them. The texts are
   * deleted again when `changeRow` throws or changes no row.
   */
  const withTexts = async <Field extends string>(
    executionId: string,
    texts: Readonly<Record<Field, string>>,
    changeRow: (inRow: InRow<Field>) => boolean,
  ): Promise<boolean> => {
    let isStored = false;
    try {
      isStored = changeRow(await longTexts.write(executionId, texts));
    } finally {
      // An empty `result` in the row means that another ending was recorded first and has its texts stored
      // apart. They have the same names as these, so nothing is deleted.
      if (!isStored && sql.selectResult.get(executionId)?.result !== "")
        longTexts.forget(executionId, Object.keys(texts));
    }
    return isStored;
  };

  const page = (columns: string, filter: Partial<ListFilter> & { limit: number }, only?: string) => {
    const { text, values } = pageQuery(columns, filter, only);
    return db.prepare(text).all(...values);
  };

  return {
    async insert(
      { executionId, project, code, timeoutMs, settings, memoryJson, createdAtMs },
      { maxUnfinished, maxUnfinishedInTotal, idempotency, retry } = {},
      submitter = LOCAL_SUBMITTER,
    ) {
      const { tenant, principal, maker } = submitter;
      const key = idempotency && storedKey(idempotency.key, submitter);
      const texts = { code, settings: JSON.stringify(settings), memory: memoryJson };
      const limits = [maxUnfinished ?? null, maxUnfinishedInTotal ?? null];
      const conditions = [...limits, key ?? null, retry?.of ?? null, retry?.number ?? null];
      return await withTexts(executionId, texts, (inRow) => {
        const values = [inRow.code, timeoutMs, inRow.settings, inRow.memory, createdAtMs];
        const more = [inRow.apartBytes, tenant, principal, maker];
        const insert = () =>
          run(sql.insert, executionId, project, routerId, ...values, ...conditions, ...more) > 0;
        if (!idempotency || key === undefined) return insert();
        return inTransaction(() => {
          const inserted = insert();
          const { fingerprint } = idempotency;
          if (inserted) run(sql.insertKey, key, fingerprint, executionId, createdAtMs, tenant, principal);
          return inserted;
        });
      }).catch((error: unknown) => {
        throw refusalOfFull(error);
      });
    },
    async getIdempotencyKey(key, submitter = LOCAL_SUBMITTER) {
      const row = sql.selectKey.get(storedKey(key, submitter)) as KeyRow | undefined;
      return row && toIdempotencyRecord(row);
    },
    async deleteIdempotencyKeysBefore(usedBeforeMs, limit) {
      return run(sql.deleteKeys, usedBeforeMs, limit);
    },
    async holdProject(project, heldAtMs) {
      return reserve.use(() => run(sql.hold, project, heldAtMs)) > 0;
    },
    async releaseProject(project) {
      return reserve.use(() => run(sql.unhold, project)) > 0;
    },
    async listHeldProjects() {
      return (sql.selectHeld.all() as { project: string }[]).map(({ project }) => project);
    },
    async countQueues(project) {
      return toQueues(sql.countQueues.get(project) as QueuesRow | undefined);
    },
    async get(executionId, scope) {
      const found = sql.select.get(executionId, ...scopeValues(scope)) as (ExecutionRow & Apart) | undefined;
      if (!found) return undefined;
      const row = await longTexts.restore(found, WRITTEN);
      if (isForgotten(found)) return undefined;
      const pieces = sql.selectOutput.all(executionId) as Output[];
      return toExecution(row, {
        stdout: pieces.map((piece) => piece.stdout).join(""),
        stderr: pieces.map((piece) => piece.stderr).join(""),
      });
    },
    read: async (executionId, from, scope) => read(executionId, from, scope),
    async countUnfinishedBytes() {
      return sql.selectUnfinishedBytes.all() as UnfinishedBytes[];
    },
    async getOutline(executionId, scope) {
      const row = sql.selectOutline.get(executionId, ...scopeValues(scope)) as OutlineRow | undefined;
      return row && toOutline(row);
    },
    list: async (filter) => (page(SUMMARY_COLUMNS, filter) as SummaryRow[]).map(toSummary),
    listDeadLetters: async (filter) =>
      (page(DEAD_LETTER_COLUMNS, filter, IS_DEAD_LETTER) as DeadLetterRow[]).map(toDeadLetter),
    async getDeadLetter(executionId, scope) {
      const row = sql.selectDeadLetter.get(executionId, ...scopeValues(scope)) as
        | (DeadLetterRow & SubmissionRow & SubmitterRow & Apart)
        | undefined;
      if (!row) return undefined;
      const submission = toSubmission(await longTexts.restore(row, SUBMITTED));
      return isForgotten(row)
        ? undefined
        : { letter: toDeadLetter(row), submission, submitter: toSubmitter(row) };
    },
    async claimPending(limit) {
      return toClaims(reserve.use(() => sql.claim.all(routerId, limit)) as ClaimRow[]);
    },
    async listOwn() {
      return toOwn(sql.selectOwn.all(routerId) as OwnRow[]);
    },
    async release(executionId) {
      reserve.use(() => run(sql.release, executionId, routerId));
    },
    async claimOrphaned(limit) {
      return toOrphaned(reserve.use(() => sql.claimOrphaned.all(routerId, limit)) as OrphanedRow[]);
    },
    async getRun(executionId) {
      const row = sql.selectRun.get(executionId) as RunRow | undefined;
      return row && toPlace(row);
    },
    async getSubmission(executionId) {
      const row = sql.selectSubmission.get(executionId) as (SubmissionRow & Apart) | undefined;
      if (!row) return undefined;
      const submission = toSubmission(await longTexts.restore(row, SUBMITTED));
      return isForgotten(row) ? undefined : submission;
    },
    async start(executionId, startedAtMs, grant) {
      const row = reserve.use(() => sql.start.get(startedAtMs, JSON.stringify(grant), executionId, routerId));
      changed(executionId, row !== undefined, "started");
      return row && toStarted(await longTexts.restore(row as StartedRow & Apart, SUBMITTED));
    },
    async markAwaiting(executionId, { id, prompt, model }, executionTimeMs) {
      const values = [id, prompt, model, executionTimeMs, executionId, routerId];
      return changed(executionId, reserve.use(() => run(sql.markAwaiting, ...values)) > 0, "paused");
    },
    async noteRunningTime(executionId, elapsedMs) {
      run(sql.noteRunningTime, elapsedMs, executionId, routerId);
    },
    async respond(executionId, llmRequestId, response, scope) {
      const values = [response, executionId, llmRequestId ?? null, ...scopeValues(scope)];
      return changed(executionId, reserve.use(() => run(sql.respond, ...values)) > 0, "answered");
    },
    async getResponse(executionId, llmRequestId) {
      const row = sql.selectResponse.get(executionId, llmRequestId) as
        | { llm_answer: string | null }
        | undefined;
      return row?.llm_answer ?? undefined;
    },
    async appendOutput(executionId, piece) {
      return addOutput(executionId, piece) > 0;
    },
    async addRedactions(executionId, redactions) {
      if (redactions.length === 0) return;
      inTransaction(() => countRedactions(executionId, redactions));
    },
    async getRedactions(executionId, scope) {
      if (!sql.selectSeen.get(executionId, ...scopeValues(scope))) return undefined;
      const row = sql.selectRedactions.get(executionId) as CountsRow | undefined;
      return row ? toRedactions(row.counts) : [];
    },
    async requestCancel(executionId, scope) {
      const values = [executionId, ...scopeValues(scope)];
      return changed(
        executionId,
        reserve.use(() => run(sql.requestCancel, ...values)) > 0,
        "cancel_requested",
      );
    },
    async isCancelRequested(executionId) {
      return (
        (sql.selectCancel.get(executionId) as { cancel_requested: number } | undefined)?.cancel_requested ===
        1
      );
    },
    async finish(executionId, ending, last, endedAtMs, redactions = []) {
      const { reason, error, resultJson, memoryUpdatesJson, truncated, executionTimeMs } = ending;
      if (!sql.selectUnfinished.get(executionId, routerId)) return false;
      const texts = { result: resultJson, memory_updates: memoryUpdatesJson };
      const ended = await withTexts(executionId, texts, (inRow) => {
        const characters = last.stdout.length + last.stderr.length + (error?.length ?? 0) + inRow.apartBytes;
        const end = () =>
          inTransaction(() => {
            addOutput(executionId, last);
            const values = [
              ...[statusOf(ending), reason, error, inRow.result, inRow.memory_updates],
              ...[truncated.stdout, truncated.stderr, executionTimeMs, endedAtMs],
            ];
            const isEnded = run(sql.finish, ...values, executionId, routerId, inRow.apartBytes) > 0;
            if (isEnded && redactions.length > 0) countRedactions(executionId, redactions);
            return isEnded;
          });
        return characters > SMALL_ENDING_CHARACTERS ? end() : reserve.use(end);
      });
      return changed(executionId, ended, "ended");
    },
    async forceFinish(executionId, ending, endedAtMs) {
      const values = [statusOf(ending), ending.reason, ending.error, endedAtMs];
      return changed(
        executionId,
        reserve.use(() => run(sql.forceFinish, ...values, executionId)) > 0,
        "ended",
      );
    },
    ...createSqliteDeletions(sql, inTransaction),
    async capacity() {
      longTexts.removeLeft();
      const freeNow = async () => {
        const { bavail, bsize } = await statfs(dirname(path));
        return bavail * bsize;
      };
      const found = await freeNow();
      const isScarce = found < SCARCE_BYTES && found > KEPT_FREE_BYTES / 2;
      if (isScarce) await reserve.refill();
      const freeBytes = isScarce ? await freeNow() : found;
      const { size } = await stat(path);
      const { counted, pages, free, page_bytes } = sql.selectCapacity.get() as CapacityRow;
      // Pages that are only in SQLite's write-ahead log so far will make the file grow, so they are
      // subtracted. The stored data is measured in pages, because an execution takes more disk space than its
      // counted bytes.
      const inFile = size + free * page_bytes - pages * page_bytes;
      const bytes = counted + inFile + freeBytes + reserve.bytes - KEPT_FREE_BYTES;
      return { bytes, freeBytes, keptFreeBytes: KEPT_FREE_BYTES };
    },
    onChange: changes.add,
    // The listener is never called, because with SQLite only an earlier router leaves executions to claim,
    // and it did so before this router opened the file.
    onClaimable: () => () => undefined,
    isShared: false,
    now: clock.now,
    async ping() {
      sql.selectExists.get("");
    },
    close,
  };
}
