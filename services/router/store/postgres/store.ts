import type { PostgresConfig } from "#common/database/config.ts";
import { bytes } from "#common/database/postgres/client-config.ts";
import { openPostgres } from "#common/database/postgres/open.ts";
import type { PostgresStatement } from "#common/database/postgres/pool.ts";
import { openServerTime } from "#common/database/postgres/server-time.ts";
import { LOCAL_SUBMITTER } from "#common/identity/ownership.ts";
import { type Circuits, createCircuits } from "#common/resilience/circuits.ts";
import type { Clock } from "#common/resilience/clock.ts";
import { repeat } from "#common/resilience/repeat.ts";
import type { Log } from "#common/service/log.ts";
import { type Output, type OutputPiece, type Redaction, statusOf } from "../../execution.ts";
import { addCounts, toRedactions } from "../redaction-counts.ts";
import {
  type ClaimRow,
  type DeadLetterRow,
  type EndedRow,
  type ExecutionRow,
  type KeyRow,
  type OrphanedRow,
  type OutlineRow,
  type OwnRow,
  outlineOfEnded,
  type QueuesRow,
  type RemovalRow,
  type RunRow,
  type StartedRow,
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
import type { ExecutionStore, OwnChange, StoredBytes, UnfinishedBytes } from "../store.ts";
import { type SubmitterRow, scopeValues, storedKey, toSubmitter } from "../submitters.ts";
import { ROUTER_TABLES } from "../tables.ts";
import { openChanges } from "./changes.ts";
import * as endings from "./ending-statements.ts";
import { createPostgresReading } from "./reading.ts";
import * as sql from "./statements.ts";

type HeartbeatRow = { readonly freed: number; readonly others: number };
type CountsRow = { readonly counts: string | null; readonly rows: Redaction[] | null };

const HEARTBEAT_EVERY_MS = 3_000;
// A router without a heartbeat for this long is declared dead, and its executions can be claimed. The time
// covers five heartbeats, so that a router that is merely busy is not declared dead.
const DEAD_AFTER_MS = 15_000;

/**
 * Opens the store in a PostgreSQL database that any number of routers share, and first applies missing
 * migrations. `routerId` is the id of this router. Rejects with the reason when the database cannot be used.
 */
export async function openPostgresStore(
  config: PostgresConfig,
  routerId: string,
  clock: Clock,
  log: Log,
  circuits: Circuits = createCircuits("airlock_router", clock, log),
): Promise<ExecutionStore> {
  const { db, client } = await openPostgres(config, ROUTER_TABLES, circuits, clock, log);
  const time = await openServerTime(db, clock, log);
  const changes = await openChanges(db, client, routerId, clock, log);

  const one = async <Row>(statement: PostgresStatement, ...values: unknown[]) =>
    (await db.rows<Row>(statement, values))[0];
  const heartbeat = async () => {
    try {
      const freed = await changes.countOthers(async () => {
        const row = await one<HeartbeatRow>(sql.HEARTBEAT, routerId, DEAD_AFTER_MS);
        return { freed: row?.freed ?? 0, others: row?.others ?? 0 };
      });
      if (freed > 0) changes.freed();
    } catch (error) {
      log.warn({ err: error }, "the database did not take this router's heartbeat");
    }
  };
  await heartbeat();
  const stopHeartbeat = repeat(HEARTBEAT_EVERY_MS, heartbeat, clock);

  const change = async (
    kind: OwnChange["kind"],
    statement: PostgresStatement,
    executionId: string,
    ...values: unknown[]
  ) => {
    const took = (await db.change(statement, [executionId, ...values])) > 0;
    if (took) changes.changed(executionId, { kind });
    return took;
  };
  const pieceOf = ({ position, stdout, stderr }: OutputPiece) => [position, bytes(stdout), bytes(stderr)];

  return {
    async insert(
      { executionId, project, code, timeoutMs, settings, memoryJson, createdAtMs },
      { maxUnfinished, maxUnfinishedInTotal, idempotency, retry } = {},
      submitter = LOCAL_SUBMITTER,
      signal,
    ) {
      const submitted = [code, timeoutMs, JSON.stringify(settings), memoryJson, createdAtMs];
      const limits = [maxUnfinished ?? null, maxUnfinishedInTotal ?? null];
      const key = idempotency
        ? [storedKey(idempotency.key, submitter), idempotency.fingerprint]
        : [null, null];
      const repeats = [retry?.of ?? null, retry?.number ?? null];
      const { tenant, principal, maker } = submitter;
      const whose = [tenant, principal, maker];
      const values = [executionId, project, routerId, ...submitted, ...limits, ...key, ...repeats, ...whose];
      return (await db.change(sql.INSERT, values, signal)) > 0;
    },
    async getIdempotencyKey(key, submitter = LOCAL_SUBMITTER) {
      const row = await one<KeyRow>(sql.GET_IDEMPOTENCY_KEY, storedKey(key, submitter));
      return row && toIdempotencyRecord(row);
    },
    deleteIdempotencyKeysBefore: (usedBeforeMs, limit) =>
      db.change(sql.DELETE_IDEMPOTENCY_KEYS, [usedBeforeMs, limit]),
    holdProject: async (project, heldAtMs) => (await db.change(sql.HOLD_PROJECT, [project, heldAtMs])) > 0,
    releaseProject: async (project) => (await db.change(sql.RELEASE_PROJECT, [project])) > 0,
    async listHeldProjects() {
      return (await db.rows<{ project: string }>(sql.LIST_HELD_PROJECTS)).map(({ project }) => project);
    },
    countQueues: async (project) => toQueues(await one<QueuesRow>(sql.COUNT_QUEUES, project)),
    async get(executionId, scope) {
      const row = await one<ExecutionRow & Output>(sql.GET, executionId, ...scopeValues(scope));
      return row && toExecution(row, row);
    },
    read: createPostgresReading(db),
    countUnfinishedBytes: () => db.rows<UnfinishedBytes>(sql.COUNT_UNFINISHED_BYTES),
    async getOutline(executionId, scope) {
      const row = await one<OutlineRow>(sql.GET_OUTLINE, executionId, ...scopeValues(scope));
      return row && toOutline(row);
    },
    async list(filter) {
      const { statement, values } = sql.list(filter);
      return (await db.rows<SummaryRow>(statement, values)).map(toSummary);
    },
    async listDeadLetters(filter) {
      const { statement, values } = sql.listDeadLetters(filter);
      return (await db.rows<DeadLetterRow>(statement, values)).map(toDeadLetter);
    },
    async getDeadLetter(executionId, scope) {
      const row = await one<DeadLetterRow & SubmissionRow & SubmitterRow>(
        sql.GET_DEAD_LETTER,
        executionId,
        ...scopeValues(scope),
      );
      return row && { letter: toDeadLetter(row), submission: toSubmission(row), submitter: toSubmitter(row) };
    },
    claimPending: async (limit) => toClaims(await db.rows<ClaimRow>(sql.CLAIM, [routerId, limit])),
    listOwn: async () => toOwn(await db.rows<OwnRow>(sql.LIST_OWN, [routerId])),
    claimOrphaned: async (limit) =>
      toOrphaned(await db.rows<OrphanedRow>(sql.CLAIM_ORPHANED, [routerId, limit])),
    async getRun(executionId) {
      const row = await one<RunRow>(sql.GET_RUN, executionId);
      return row && toPlace(row);
    },
    async getSubmission(executionId) {
      const row = await one<SubmissionRow>(sql.GET_SUBMISSION, executionId);
      return row && toSubmission(row);
    },
    async release(executionId) {
      if ((await db.change(sql.RELEASE, [executionId, routerId])) > 0) changes.freed();
    },
    async start(executionId, startedAtMs, grant) {
      const row = await one<StartedRow>(sql.START, executionId, startedAtMs, routerId, JSON.stringify(grant));
      if (row) changes.changed(executionId, { kind: "started" });
      return row && toStarted(row);
    },
    markAwaiting: (executionId, { id, prompt, model }, executionTimeMs) =>
      change(
        "paused",
        sql.MARK_AWAITING,
        executionId,
        id,
        bytes(prompt),
        bytes(model),
        executionTimeMs,
        routerId,
      ),
    async noteRunningTime(executionId, elapsedMs) {
      await db.change(sql.NOTE_RUNNING_TIME, [executionId, elapsedMs, routerId]);
    },
    respond: (executionId, llmRequestId, response, scope) =>
      change(
        "answered",
        sql.RESPOND,
        executionId,
        llmRequestId ?? null,
        bytes(response),
        ...scopeValues(scope),
      ),
    async getResponse(executionId, llmRequestId) {
      const row = await one<{ llm_answer: string | null }>(sql.GET_RESPONSE, executionId, llmRequestId);
      return row?.llm_answer ?? undefined;
    },
    async appendOutput(executionId, piece) {
      return (await db.change(sql.APPEND_OUTPUT, [executionId, ...pieceOf(piece), routerId])) > 0;
    },
    async addRedactions(executionId, redactions) {
      if (redactions.length === 0) return;
      await db.change(endings.ADD_REDACTIONS, [executionId, addCounts(redactions)]);
    },
    async getRedactions(executionId, scope) {
      const row = await one<CountsRow>(sql.GET_REDACTIONS, executionId, ...scopeValues(scope));
      return row && toRedactions(addCounts(row.rows ?? [], row.counts ?? undefined));
    },
    requestCancel: (executionId, scope) =>
      change("cancel_requested", sql.REQUEST_CANCEL, executionId, ...scopeValues(scope)),
    async isCancelRequested(executionId) {
      const row = await one<{ cancel_requested: boolean }>(sql.GET_CANCEL, executionId);
      return row?.cancel_requested === true;
    },
    async finish(executionId, ending, last, endedAtMs, redactions = []) {
      const { reason, error, resultJson, memoryUpdatesJson, truncated, executionTimeMs } = ending;
      const values = [
        ...[executionId, statusOf(ending), reason, bytes(error), resultJson, memoryUpdatesJson],
        ...[truncated.stdout, truncated.stderr, executionTimeMs, endedAtMs, ...pieceOf(last), routerId],
      ];
      const row =
        redactions.length === 0
          ? await one<EndedRow>(endings.FINISH, ...values)
          : await one<EndedRow>(endings.FINISH_REDACTED, ...values, addCounts(redactions));
      if (row) {
        const outline = outlineOfEnded(row, ending, last, endedAtMs);
        changes.changed(executionId, { kind: "ended", outline });
      } else changes.changedElsewhere(executionId);
      return row !== undefined;
    },
    forceFinish: (executionId, ending, endedAtMs) =>
      change(
        "ended",
        endings.FORCE_FINISH,
        executionId,
        statusOf(ending),
        ending.reason,
        bytes(ending.error),
        endedAtMs,
      ),
    deleteEndedBefore: (endedBeforeMs, limit) => db.change(sql.DELETE_ENDED, [endedBeforeMs, limit]),
    // The router cannot measure the disk space, because the disk belongs to the database server, which may
    // also compress.
    capacity: async () => ({
      bytes: Number.POSITIVE_INFINITY,
      freeBytes: Number.POSITIVE_INFINITY,
      keptFreeBytes: 0,
    }),
    countStoredBytes: () => db.rows<StoredBytes>(sql.COUNT_STORED_BYTES),
    async deleteOldestEnded(project, keepBytes, limit) {
      const row = await one<RemovalRow>(sql.DELETE_OLDEST_ENDED, project, Math.floor(keepBytes), limit);
      return { removed: row?.removed ?? 0, isBusy: row?.is_busy === true };
    },
    onChange: changes.onChange,
    onClaimable: changes.onClaimable,
    isShared: true,
    now: time.now,
    ping: db.ping,
    async close() {
      await stopHeartbeat();
      await time.stop();
      try {
        if ((await db.change(sql.RELEASE_ALL, [routerId])) > 0) changes.freed();
      } catch (error) {
        log.warn(
          { err: error },
          "pending executions were not released; other routers take them when this router's heartbeat is missed",
        );
      }
      await changes.close();
      await db.close();
    },
  };
}
