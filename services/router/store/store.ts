import type { EndReasonName, Status } from "#common/execution-names.ts";
import type { Scope, Submitter } from "#common/identity/ownership.ts";
import type { Submission } from "#common/submission/submission.ts";
import type { Ending, Execution, Grant, LlmRequest, OutputPiece, Redaction, Started } from "../execution.ts";

/** An execution as a list shows it. */
export type Summary = {
  readonly executionId: string;
  readonly project: string;
  readonly status: Status;
  /** Null until the execution has ended. */
  readonly endReason: EndReasonName | null;
  /** Milliseconds that the script has run, pauses left out; null unless the script was started. */
  readonly executionTimeMs: number | null;
  readonly createdAtMs: number;
  /** Null until the execution has ended. */
  readonly endedAtMs: number | null;
};

/** The few fields of an execution that the router reads after each change of the execution. */
export type Outline = {
  readonly status: Status;
  /** Milliseconds that the script has run, pauses left out; null before its start. */
  readonly executionTimeMs: number | null;
  /** The bytes that the execution stores: its submission, output, result and other texts. */
  readonly bytes: number;
  /**
   * The execution with all its texts, when the outline comes from the change that ended it; undefined when
   * the execution must be read.
   */
  readonly execution?: Execution | undefined;
};

/** A change of an execution that this router made itself, as the listeners of the change get it. */
export type OwnChange =
  | { readonly kind: "started" | "paused" | "answered" | "cancel_requested" }
  /** `outline`: undefined when it must be read. */
  | { readonly kind: "ended"; readonly outline?: Outline | undefined };

/** The texts of an execution that may be megabytes each. */
export type LongText = "result" | "memoryUpdates" | "stdout" | "stderr";

/** A piece of a long text, in UTF-8, at most a megabyte. A character may be split between two pieces. */
export type TextPiece = { readonly text: LongText; readonly piece: Uint8Array };

/**
 * How many bytes (UTF-8) of stdout and of stderr the caller has already, counted from the beginning. A
 * reading leaves them out.
 */
export type OutputFrom = { readonly stdout: number; readonly stderr: number };

/** An execution whose long texts are read piece by piece. */
export type Reading = {
  /** The execution. Its long texts are empty here, because `pieces` yields them. */
  readonly execution: Execution;
  readonly submitter: Submitter;
  /** The bytes of output that are left out because the caller has them already; 0 when none. */
  readonly skippedBytes: number;
  /**
   * Yields the pieces of each long text in order, as they were when `execution` was read. Yields fewer pieces
   * when the execution is deleted meanwhile.
   */
  pieces(): AsyncIterable<TextPiece>;
};

/** The bytes that the unfinished executions of a project store. */
export type UnfinishedBytes = {
  readonly project: string;
  /** The bytes of executions that wait for a worker. */
  readonly pending: number;
  /** The bytes of executions that run or are paused. */
  readonly started: number;
};

/** Selects the executions of a list. An undefined field does not restrict the list. */
export type ListFilter = {
  readonly project: string | undefined;
  readonly status: Status | undefined;
  readonly limit: number;
  /** Only executions with a smaller id than this. Such executions are older, because ids sort by creation. */
  readonly before: string | undefined;
  /** Only the retries of the dead letter with this execution id. */
  readonly retryOf?: string | undefined;
  /** Only the executions in this scope; undefined: those of every tenant. */
  readonly scope?: Scope | undefined;
};

/** An execution that this router owns by a claim, so that no other router may start or continue it. */
export type Claim = { readonly executionId: string; readonly project: string };

/**
 * An unfinished execution that this router owns. `hasStarted`: whether the execution runs or is paused, and
 * no longer pending.
 */
export type OwnExecution = Claim & { readonly hasStarted: boolean };

/** A started execution that this router has taken over, because its earlier router died or released it. */
export type OrphanedExecution = Claim & {
  readonly timeoutMs: number;
  /** The execution's epoch after the takeover. It grows each time a router takes the execution. */
  readonly epoch: number;
  /** The worker that runs the execution; undefined when the store does not know the worker. */
  readonly grant: Grant | undefined;
  /** The position that the next piece of the execution's output gets; 0 when no piece is stored. */
  readonly position: number;
};

/** The conditions under which `insert` adds an execution. An undefined condition is not checked. */
export type InsertConditions = {
  /** The largest number of unfinished executions of the project, including the new one. */
  readonly maxUnfinished?: number | undefined;
  /** The largest number of unfinished executions of all projects, including the new one. */
  readonly maxUnfinishedInTotal?: number;
  /**
   * The submitter must not have used the idempotency key. It is stored with the new execution, and with
   * `fingerprint`, the SHA-256 of the request in hex.
   */
  readonly idempotency?: { readonly key: string; readonly fingerprint: string } | undefined;
  /**
   * The new execution retries the dead letter `of`, which must not have a retry with this `number` yet. The
   * first retry has number 1.
   */
  readonly retry?: { readonly of: string; readonly number: number };
};

/** An execution that ended through a fault of Airlock or of its operator, not of its script. */
export type DeadLetter = {
  readonly executionId: string;
  readonly project: string;
  readonly endReason: EndReasonName;
  readonly error: string;
  readonly createdAtMs: number;
  readonly endedAtMs: number;
  /** The ids of the newest retries (at most 20), oldest first; empty when there are none. */
  readonly newestRetries: readonly string[];
  /** The number of the last retry; 0 when there are none. */
  readonly retries: number;
};

/** A dead letter, its submission and its submitter, as a retry needs them. */
export type StoredLetter = {
  readonly letter: DeadLetter;
  readonly submission: Submission;
  readonly submitter: Submitter;
};

/** The record of a used idempotency key. */
export type IdempotencyRecord = {
  /** SHA-256 of the request that used the key, in hex. */
  readonly fingerprint: string;
  /** The execution that used the key; undefined when it has been deleted. */
  readonly executionId: string | undefined;
};

/** How many executions of a project, or of all projects, have not ended. */
export type Load = {
  /** Executions that wait for a worker. */
  readonly pending: number;
  /** Executions that have not ended, including the pending ones. */
  readonly unfinished: number;
};

/** How many executions of a project have not ended, compared with all projects. */
export type Queues = {
  readonly ofProject: Load;
  readonly inTotal: Load;
  /** The number of other projects that have unfinished executions. */
  readonly otherProjects: number;
};

/** The bytes that all executions of a project store, ended or not: their submissions, output and results. */
export type StoredBytes = { readonly project: string; readonly bytes: number };

/** The result of the removal of ended executions of one project. */
export type Removal = {
  /** The number of deleted executions. */
  readonly removed: number;
  /** Whether another router is removing executions of the project now, so that this call removed nothing. */
  readonly isBusy: boolean;
};

/** The disk space of the database, in bytes. Infinity when the store does not know it, as with PostgreSQL. */
export type Capacity = {
  /**
   * The bytes that all projects together could store, including those stored already. Negative when other
   * programs fill the disk so far that deleting everything would not free what must stay free.
   */
  readonly bytes: number;
  /** The free bytes of the disk. */
  readonly freeBytes: number;
  /** How many of the free bytes executions must leave free. */
  readonly keptFreeBytes: number;
};

/**
 * The port to the database, as one router sees it. The contract of all methods:
 * - A method that changes an execution first checks the execution's present state, and resolves to whether
 *   it made the change. When two routers race for the same change, exactly one succeeds. A final status
 *   never changes.
 * - Only the router that owns an execution can write for its run, so that a router that was wrongly declared
 *   dead cannot write any more.
 * - A method that takes a scope treats an execution outside the scope like an unknown one. Without a scope
 *   it reaches every execution, for the router's own work. Calls of principals use `ScopedStore`, which
 *   demands the scope.
 * - All methods reject with `unavailable` while the database cannot be reached. A change that was rejected
 *   may have been made all the same. Every change may be repeated.
 */
export type ExecutionStore = {
  /**
   * Adds a pending execution that this router owns. Resolves to false when its project is held or a condition
   * does not hold. `submitter`: `system:local` unless given. When `signal` aborts before the submission is
   * sent to the database, rejects with the signal's reason, and nothing is stored.
   */
  insert(
    submission: Submission,
    conditions?: InsertConditions,
    submitter?: Submitter,
    signal?: AbortSignal,
  ): Promise<boolean>;
  /**
   * The record of this idempotency key of the submitter; undefined when the submitter has not used the key.
   * `submitter`: `system:local` unless given.
   */
  getIdempotencyKey(key: string, submitter?: Submitter): Promise<IdempotencyRecord | undefined>;
  /**
   * Deletes at most `limit` idempotency keys that were first used before `usedBeforeMs` (epoch milliseconds)
   * and whose execution is deleted. Resolves to the number of deleted keys.
   */
  deleteIdempotencyKeysBefore(usedBeforeMs: number, limit: number): Promise<number>;
  /**
   * Holds the project, so that no router can add executions to it. Resolves to false when the project was
   * held before.
   */
  holdProject(project: string, heldAtMs: number): Promise<boolean>;
  /** Ends the hold of a project. Resolves to false when the project was not held. */
  releaseProject(project: string): Promise<boolean>;
  /** The names of the held projects, sorted. */
  listHeldProjects(): Promise<string[]>;
  /** Counts the unfinished executions of this project and of all projects, whichever router owns them. */
  countQueues(project: string): Promise<Queues>;
  /** The whole execution with all its texts; undefined when the execution is unknown. */
  get(executionId: string, scope?: Scope): Promise<Execution | undefined>;
  /**
   * Reads an execution that may be large, piece by piece. `from`: the output that the caller has already,
   * which is left out. Resolves to undefined when the execution is unknown.
   */
  read(executionId: string, from?: OutputFrom, scope?: Scope): Promise<Reading | undefined>;
  /** The bytes that unfinished executions store, by project. */
  countUnfinishedBytes(): Promise<UnfinishedBytes[]>;
  /** The outline of an execution; undefined when the execution is unknown. */
  getOutline(executionId: string, scope?: Scope): Promise<Outline | undefined>;
  /** The executions of a list, newest first. */
  list(filter: ListFilter): Promise<Summary[]>;
  /** The dead letters of a list, newest first. */
  listDeadLetters(filter: Omit<ListFilter, "status" | "retryOf">): Promise<DeadLetter[]>;
  /** A dead letter; undefined when the execution is no dead letter. */
  getDeadLetter(executionId: string, scope?: Scope): Promise<StoredLetter | undefined>;
  /** Claims at most `limit` pending executions that no living router owns, oldest first. */
  claimPending(limit: number): Promise<Claim[]>;
  /** The unfinished executions of this router, oldest first. */
  listOwn(): Promise<OwnExecution[]>;
  /** Releases an execution of this router, so that any router can claim it. */
  release(executionId: string): Promise<void>;
  /** Takes over at most `limit` started, unfinished executions that no living router owns. */
  claimOrphaned(limit: number): Promise<OrphanedExecution[]>;
  /**
   * The worker and the epoch of an execution that has been started and has not ended; undefined for any other
   * execution.
   */
  getRun(executionId: string): Promise<{ readonly grant: Grant; readonly epoch: number } | undefined>;
  /** The submission of an execution; undefined when the execution is unknown. */
  getSubmission(executionId: string): Promise<Submission | undefined>;
  /**
   * Starts an execution of this router: pending → running. Resolves to undefined when this router may not
   * start it, because another router owns it or it is not pending.
   */
  start(executionId: string, startedAtMs: number, grant: Grant): Promise<Started | undefined>;
  /**
   * Pauses an execution: running → awaiting_llm. Resolves to false when this llm request was stored before.
   */
  markAwaiting(executionId: string, llmRequest: LlmRequest, executionTimeMs: number): Promise<boolean>;
  /**
   * Records how long a running script has run, in milliseconds. A number below the recorded one changes
   * nothing.
   */
  noteRunningTime(executionId: string, elapsedMs: number): Promise<void>;
  /**
   * Resumes an execution: awaiting_llm → running, and stores the response. An undefined `llmRequestId` stands
   * for any open llm request. Resolves to false when the execution does not wait for this llm request.
   */
  respond(
    executionId: string,
    llmRequestId: string | undefined,
    response: string,
    scope?: Scope,
  ): Promise<boolean>;
  /** The agent's response to this llm request; undefined until the agent has responded. */
  getResponse(executionId: string, llmRequestId: string): Promise<string | undefined>;
  /**
   * Adds a piece to the output of an unfinished execution, or replaces the piece with the same position.
   * Resolves to false when the execution has ended or belongs to another router.
   */
  appendOutput(executionId: string, piece: OutputPiece): Promise<boolean>;
  /**
   * Adds to the counts of secrets that were redacted from an execution. Does nothing when the execution is
   * unknown.
   */
  addRedactions(executionId: string, redactions: readonly Redaction[]): Promise<void>;
  /**
   * How often each secret was redacted from each field of an execution; undefined when the execution is
   * unknown.
   */
  getRedactions(executionId: string, scope?: Scope): Promise<Redaction[] | undefined>;
  /**
   * Asks the router that owns the execution to end it as cancelled. Resolves to false when the execution has
   * ended.
   */
  requestCancel(executionId: string, scope?: Scope): Promise<boolean>;
  /**
   * Whether `requestCancel` was called for the execution. The router that owns the execution asks this after
   * each change.
   */
  isCancelRequested(executionId: string): Promise<boolean>;
  /**
   * Ends an execution of this router. In the same transaction, stores its last piece of output and adds
   * `redactions` as `addRedactions` does; undefined means none. Resolves to false when the execution has
   * ended or belongs to another router.
   */
  finish(
    executionId: string,
    ending: Ending,
    last: OutputPiece,
    endedAtMs: number,
    redactions?: readonly Redaction[],
  ): Promise<boolean>;
  /**
   * Ends an execution without more output, whichever router owns it. Resolves to false when it has ended
   * already.
   */
  forceFinish(executionId: string, ending: Ending, endedAtMs: number): Promise<boolean>;
  /**
   * Deletes at most `limit` executions that ended before `endedBeforeMs` (epoch milliseconds), fewer when
   * they are large. Resolves to the number of deleted executions, 0 when there were none.
   */
  deleteEndedBefore(endedBeforeMs: number, limit: number): Promise<number>;
  /** The stored bytes of each project that stores anything. */
  countStoredBytes(): Promise<StoredBytes[]>;
  /** How much disk space the executions may use. */
  capacity(): Promise<Capacity>;
  /**
   * Deletes the oldest ended executions of the project until it stores at most `keepBytes`. One call deletes
   * at most `limit` executions, fewer when they are large.
   */
  deleteOldestEnded(project: string, keepBytes: number, limit: number): Promise<Removal>;
  /**
   * Calls `listener` after each change of the execution's state, whichever router made the change (a start by
   * another router only some seconds later), and sometimes without a change. `change`: what this router
   * changed, so that the listener need not read the execution; undefined when another router may have changed
   * anything. The returned function removes the listener.
   */
  onChange(executionId: string, listener: (change?: OwnChange) => void): () => void;
  /**
   * Calls `listener` when there may be executions that no router owns, so that this router can claim them.
   * The returned function removes the listener.
   */
  onClaimable(listener: () => void): () => void;
  /**
   * The database's time in epoch milliseconds. Every stored time is taken from it and compared with it,
   * because the clocks of the routers' machines may differ.
   */
  now(): number;
  /** Rejects when the database cannot be used. */
  ping(): Promise<void>;
  /** Whether several routers may share the database: true for PostgreSQL, false for SQLite. */
  readonly isShared: boolean;
  /**
   * Closes the database. Unfinished executions of this router then have no router until another router claims
   * them.
   */
  close(): Promise<void>;
};
