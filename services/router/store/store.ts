import type { EndReasonName, Status } from "#common/execution-names.ts";
import type { Submission } from "#common/submission/submission.ts";
import type { Ending, Execution, Grant, LlmRequest, OutputPiece, Redaction, Started } from "../execution.ts";

/**
 * An execution as a list shows it. `endReason` and `endedAtMs` are null until it has ended, `executionTimeMs`
 * is null unless its script was started.
 */
export type Summary = {
  readonly executionId: string;
  readonly project: string;
  readonly status: Status;
  readonly endReason: EndReasonName | null;
  readonly executionTimeMs: number | null;
  readonly createdAtMs: number;
  readonly endedAtMs: number | null;
};

/** The few fields of an execution that the router reads at each of its changes. */
export type Outline = {
  readonly status: Status;
  readonly executionTimeMs: number | null;
  /** The bytes that the execution stores. */
  readonly bytes: number;
};

/** The texts of an execution that may be megabytes each. */
export type LongText = "result" | "memoryUpdates" | "stdout" | "stderr";

/** A piece of a long text: UTF-8, at most a megabyte. A character may be split between two pieces. */
export type TextPiece = { readonly text: LongText; readonly piece: Uint8Array };

/** The bytes (UTF-8) of each output channel that the caller has already. They are not read again. */
export type OutputFrom = { readonly stdout: number; readonly stderr: number };

/** An execution whose long texts are read piece by piece. */
export type Reading = {
  /** The execution with empty long texts, because `pieces` yields them. */
  readonly execution: Execution;
  /** The bytes of output that are left out because the caller has them. */
  readonly skippedBytes: number;
  /**
   * Yields the pieces of each long text in order, as they were when `execution` was read. Yields fewer pieces
   * when the execution is deleted meanwhile.
   */
  pieces(): AsyncIterable<TextPiece>;
};

/** The bytes that the unfinished executions of a project store. `started`: those that run or are paused. */
export type UnfinishedBytes = {
  readonly project: string;
  readonly pending: number;
  readonly started: number;
};

/** Selects the executions of a list. An undefined field selects all. */
export type ListFilter = {
  readonly project: string | undefined;
  readonly status: Status | undefined;
  readonly limit: number;
  /** Only executions with a smaller id. They are older, because ids sort by creation. */
  readonly before: string | undefined;
  /** Only the retries of this dead letter. */
  readonly retryOf?: string | undefined;
};

/** A pending execution that this router has claimed. No other router may start it. */
export type Claim = { readonly executionId: string; readonly project: string };

/** An unfinished execution that this router owns. */
export type OwnExecution = Claim & { readonly hasStarted: boolean };

/** A started execution that this router has taken over, because its earlier router died or gave it up. */
export type OrphanedExecution = Claim & {
  readonly timeoutMs: number;
  /** The execution's epoch after the takeover. It grows each time a router takes the execution. */
  readonly epoch: number;
  /** The worker that runs the execution; undefined when it is not known. */
  readonly grant: Grant | undefined;
  /** The position that the next piece of its output gets. */
  readonly position: number;
};

/** The conditions for adding an execution. An undefined condition always holds. */
export type InsertConditions = {
  /** The largest number of unfinished executions of the project, including the new one. */
  readonly maxUnfinished?: number | undefined;
  /** The largest number of unfinished executions of all projects, including the new one. */
  readonly maxUnfinishedInTotal?: number;
  /** The key must be unused. The new execution uses it. */
  readonly idempotency?: { readonly key: string; readonly fingerprint: string } | undefined;
  /** The dead letter must not have a retry of this number yet. The first retry has number 1. */
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

/** The use of an idempotency key. */
export type IdempotencyRecord = {
  /** SHA-256 of the request that used the key, in hex. */
  readonly fingerprint: string;
  /** The execution that used the key; undefined when it has been deleted. */
  readonly executionId: string | undefined;
};

/** Numbers of executions. */
export type Load = {
  /** Executions that wait for a worker. */
  readonly pending: number;
  /** Executions that have not ended, including the pending ones. */
  readonly unfinished: number;
};

/** The unfinished executions of a project, beside those of all projects. */
export type Queues = {
  readonly ofProject: Load;
  readonly inTotal: Load;
  /** The number of other projects that have unfinished executions. */
  readonly otherProjects: number;
};

/** The bytes that all executions of a project store, ended or not: their submissions, output and results. */
export type StoredBytes = { readonly project: string; readonly bytes: number };

/**
 * The result of a removal. `isBusy`: another router is removing for the project, so this router removed
 * nothing.
 */
export type Removal = { readonly removed: number; readonly isBusy: boolean };

/** The disk capacity of the database, in bytes. Infinity when the store does not know it. */
export type Capacity = {
  /**
   * The bytes that all projects together could store, including those stored already. Negative when other
   * programs fill the disk so far that deleting everything would not free what must stay free.
   */
  readonly bytes: number;
  /** The free bytes of the disk, and how many of them executions must leave free. */
  readonly freeBytes: number;
  readonly keptFreeBytes: number;
};

/**
 * The port to the database, as one router sees it. The contract of all methods:
 * - A change depends on the state that it starts from, and resolves to whether it took place. Of two racing
 *   callers exactly one succeeds. A terminal state never changes.
 * - The writes of a run take place only for the router that owns the execution. A router that was wrongly
 *   declared dead cannot write any more.
 * - All methods reject with `unavailable` while the database is away. A rejected change may have taken place;
 *   every change may be repeated.
 */
export type ExecutionStore = {
  /**
   * Adds a pending execution that this router owns. False when its project is held or a condition does not
   * hold.
   */
  insert(submission: Submission, conditions?: InsertConditions): Promise<boolean>;
  /** The use of the key; undefined when it is unused. */
  getIdempotencyKey(key: string): Promise<IdempotencyRecord | undefined>;
  /**
   * Deletes at most `limit` keys that were first used before this time and whose execution is deleted.
   * Resolves to the number of deleted keys.
   */
  deleteIdempotencyKeysBefore(usedBeforeMs: number, limit: number): Promise<number>;
  /** Holds the project, so that no router can add executions to it. False when it was held before. */
  holdProject(project: string, heldAtMs: number): Promise<boolean>;
  /** Ends the hold of a project. False when the project was not held. */
  releaseProject(project: string): Promise<boolean>;
  /** The names of the held projects, sorted. */
  listHeldProjects(): Promise<string[]>;
  /** Counts the unfinished executions of all routers. */
  countQueues(project: string): Promise<Queues>;
  /** The whole execution; undefined when it is unknown. */
  get(executionId: string): Promise<Execution | undefined>;
  /**
   * Reads an execution that may be large, piece by piece, without the output in `from`. Undefined when it is
   * unknown.
   */
  read(executionId: string, from?: OutputFrom): Promise<Reading | undefined>;
  /** The bytes that unfinished executions store, by project. */
  countUnfinishedBytes(): Promise<UnfinishedBytes[]>;
  getOutline(executionId: string): Promise<Outline | undefined>;
  /** The executions of a list, newest first. */
  list(filter: ListFilter): Promise<Summary[]>;
  /** The dead letters of a list, newest first. */
  listDeadLetters(filter: Omit<ListFilter, "status" | "retryOf">): Promise<DeadLetter[]>;
  /** A dead letter and its submission; undefined when the execution is no dead letter. */
  getDeadLetter(
    executionId: string,
  ): Promise<{ readonly letter: DeadLetter; readonly submission: Submission } | undefined>;
  /** Claims at most `limit` pending executions that no living router owns, oldest first. */
  claimPending(limit: number): Promise<Claim[]>;
  /** The unfinished executions of this router, oldest first. */
  listOwn(): Promise<OwnExecution[]>;
  /** Gives up an execution of this router, so that any router can claim it. */
  release(executionId: string): Promise<void>;
  /** Takes over at most `limit` started, unfinished executions that no living router owns. */
  claimOrphaned(limit: number): Promise<OrphanedExecution[]>;
  /**
   * The worker and the epoch of an unfinished run; undefined when the execution is not known to run anywhere.
   */
  getRun(executionId: string): Promise<{ readonly grant: Grant; readonly epoch: number } | undefined>;
  /** The submission of an execution; undefined when the execution is unknown. */
  getSubmission(executionId: string): Promise<Submission | undefined>;
  /** Starts an execution of this router: pending → running. Undefined when this router may not start it. */
  start(executionId: string, startedAtMs: number, grant: Grant): Promise<Started | undefined>;
  /** Pauses an execution: running → awaiting_llm. False when it has already paused for this llm request. */
  markAwaiting(executionId: string, llmRequest: LlmRequest, executionTimeMs: number): Promise<boolean>;
  /**
   * Records how long a running script has run, in milliseconds. A smaller number than the recorded one
   * changes nothing.
   */
  noteRunningTime(executionId: string, elapsedMs: number): Promise<void>;
  /**
   * Resumes an execution: awaiting_llm → running, and stores the response. An undefined `llmRequestId` stands
   * for any open llm request.
   */
  respond(executionId: string, llmRequestId: string | undefined, response: string): Promise<boolean>;
  /** The response to this llm request; undefined until it is given. */
  getResponse(executionId: string, llmRequestId: string): Promise<string | undefined>;
  /** Adds a piece to the output of an unfinished execution, or replaces the piece with the same position. */
  appendOutput(executionId: string, piece: OutputPiece): Promise<boolean>;
  /** Adds to the redaction counts of an execution. Does nothing when the execution is unknown. */
  addRedactions(executionId: string, redactions: readonly Redaction[]): Promise<void>;
  /** The redaction counts by secret and field; undefined when the execution is unknown. */
  getRedactions(executionId: string): Promise<Redaction[] | undefined>;
  /** Asks the router that owns the execution to end it. False when it has ended. */
  requestCancel(executionId: string): Promise<boolean>;
  /** Whether `requestCancel` was called for the execution. */
  isCancelRequested(executionId: string): Promise<boolean>;
  /** Ends an execution of this router, and stores its last piece of output in the same transaction. */
  finish(executionId: string, ending: Ending, last: OutputPiece, endedAtMs: number): Promise<boolean>;
  /** Ends an execution without more output, whichever router owns it. */
  forceFinish(executionId: string, ending: Ending, endedAtMs: number): Promise<boolean>;
  /**
   * Deletes at most `limit` executions that ended before this time, fewer when they are large. Resolves to
   * the number of deleted executions, 0 when there were none.
   */
  deleteEndedBefore(endedBeforeMs: number, limit: number): Promise<number>;
  /** The stored bytes of each project that stores anything. */
  countStoredBytes(): Promise<StoredBytes[]>;
  /** The disk capacity of the database. */
  capacity(): Promise<Capacity>;
  /**
   * Deletes the oldest ended executions of the project until it stores at most `keepBytes`. One call deletes
   * at most `limit` executions, fewer when they are large.
   */
  deleteOldestEnded(project: string, keepBytes: number, limit: number): Promise<Removal>;
  /**
   * Calls `listener` after each change of the execution's state, whichever router made it. May also call it
   * without a change. The returned function removes the listener.
   */
  onChange(executionId: string, listener: () => void): () => void;
  /** Calls `listener` when there may be executions to claim. The returned function removes the listener. */
  onClaimable(listener: () => void): () => void;
  /**
   * The database's time in epoch milliseconds, which all routers share. Every stored moment is taken from it,
   * and compared with it.
   */
  now(): number;
  /** Rejects when the database cannot be used. */
  ping(): Promise<void>;
  /** True when several routers may share the database. */
  readonly isShared: boolean;
  /** Gives up the executions of this router, then closes the database. */
  close(): Promise<void>;
};
