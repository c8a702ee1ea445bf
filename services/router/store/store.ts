import type { EndReasonName, Status } from "#common/execution-names.ts";
import type { Submission } from "#common/submission/submission.ts";
import type { Ending, Execution, Grant, LlmQuestion, OutputPiece, Redaction, Started } from "../execution.ts";

export type Summary = {
  readonly executionId: string;
  readonly project: string;
  readonly status: Status;
  readonly endReason: EndReasonName | null;
  readonly executionTimeMs: number | null;
  readonly createdAtMs: number;
  readonly endedAtMs: number | null;
};

/** What is read of an execution at each of its changes. */
export type Outline = {
  readonly status: Status;
  readonly executionTimeMs: number | null;
  /** What it stores. */
  readonly bytes: number;
};

/** The texts of an execution that may be megabytes each. */
export type LongText = "result" | "memoryUpdates" | "stdout" | "stderr";

/** UTF-8, at most a megabyte; a character may be in two pieces. */
export type TextPiece = { readonly text: LongText; readonly piece: Uint8Array };

/** How many bytes of its output, in UTF-8, a caller has already. */
export type OutputFrom = { readonly stdout: number; readonly stderr: number };

/** An execution that is read piece by piece. */
export type Reading = {
  /** Its long texts are empty here. */
  readonly execution: Execution;
  /** How many bytes of its output are left out. */
  readonly skippedBytes: number;
  /**
   * The long texts, each from its beginning, as they were when `execution` was read; fewer if it is forgotten
   * meanwhile.
   */
  pieces(): AsyncIterable<TextPiece>;
};

/** In bytes; `started`: of executions that run or are paused. */
export type UnfinishedBytes = {
  readonly project: string;
  readonly pending: number;
  readonly started: number;
};

export type ListFilter = {
  readonly project: string | undefined;
  readonly status: Status | undefined;
  readonly limit: number;
  /** Only executions older than this id; ids sort by creation. */
  readonly before: string | undefined;
  /** Only executions that repeat this dead letter. */
  readonly retryOf?: string | undefined;
};

/** A pending execution that one router, and no other, may start. */
export type Claim = { readonly executionId: string; readonly project: string };

/** An execution that a router has. */
export type OwnExecution = Claim & { readonly hasStarted: boolean };

/** An execution that had started when its router went, and that this router, and no other, may take over. */
export type LostExecution = Claim & {
  readonly timeoutMs: number;
  /** How often the execution has changed hands. */
  readonly epoch: number;
  /** Undefined: it is not known where it ran. */
  readonly grant: Grant | undefined;
  /** The position of the next piece of its output. */
  readonly position: number;
};

/** What has to hold for an execution to be added. */
export type InsertConditions = {
  /** So many of its project may not have ended, this one included. */
  readonly maxUnfinished?: number | undefined;
  /** So many of all projects. */
  readonly maxUnfinishedInTotal?: number;
  /** Nobody has used this key; from then on this execution has. */
  readonly idempotency?: { readonly key: string; readonly fingerprint: string } | undefined;
  /** Nobody has made this repetition of the dead letter; the first one has number 1. */
  readonly retry?: { readonly of: string; readonly number: number };
};

/** An execution that could not be finished for our own fault. */
export type DeadLetter = {
  readonly executionId: string;
  readonly project: string;
  readonly endReason: EndReasonName;
  readonly error: string;
  readonly createdAtMs: number;
  readonly endedAtMs: number;
  /** The newest executions that repeat it, oldest first. */
  readonly newestRetries: readonly string[];
  /** The number of the last one of all. */
  readonly retries: number;
};

/** What an idempotency key was used for. */
export type IdempotencyRecord = {
  readonly fingerprint: string;
  /** Undefined when the execution has been forgotten. */
  readonly executionId: string | undefined;
};

export type Load = {
  /** Executions that wait for a worker. */
  readonly pending: number;
  /** Those that have not ended, the waiting ones included. */
  readonly unfinished: number;
};

export type Queues = {
  readonly ofProject: Load;
  readonly inTotal: Load;
  /** How many other projects have executions that have not ended. */
  readonly otherProjects: number;
};

/** What the executions of a project take: all that was submitted and written, ended or not. */
export type StoredBytes = { readonly project: string; readonly bytes: number };

/** `isBusy`: another router is removing for this project, so this one has removed nothing. */
export type Removal = { readonly removed: number; readonly isBusy: boolean };

/**
 * The port to the database, as one router sees it. Every change is conditional on the state it starts from and says
 * whether it took place, so that of two racing callers exactly one wins; a terminal state never changes. What a run
 * changes, only the router may change that has it: one that was taken for dead and is not comes too late. While the
 * database is away, everything rejects with `unavailable`; whether a change took place is then unknown, and each may
 * be asked for again.
 */
/** In bytes, infinite where the store does not know. */
export type Capacity = {
  /** What all projects together could store, now and with what is stored already. */
  readonly bytes: number;
  /** What the disk has free, and how much of it is left free. */
  readonly freeBytes: number;
  readonly keptFreeBytes: number;
};

export type ExecutionStore = {
  /** Adds a pending execution of this router; false when its project is held or one of the conditions does not hold. */
  insert(submission: Submission, conditions?: InsertConditions): Promise<boolean>;
  getIdempotencyKey(key: string): Promise<IdempotencyRecord | undefined>;
  /** Forgets at most `limit` keys that were first used before this time and whose execution is forgotten. */
  deleteIdempotencyKeysBefore(usedBeforeMs: number, limit: number): Promise<number>;
  /** Lets nothing more be added to the project, for all routers; false when that was so before. */
  holdProject(project: string, heldAtMs: number): Promise<boolean>;
  /** Ends that; false when the project was not held. */
  releaseProject(project: string): Promise<boolean>;
  /** Names, sorted. */
  listHeldProjects(): Promise<string[]>;
  /** What has not ended, over all routers. */
  countQueues(project: string): Promise<Queues>;
  get(executionId: string): Promise<Execution | undefined>;
  /** The same, for executions that may be large; without the beginning of the output if the caller has it. */
  read(executionId: string, from?: OutputFrom): Promise<Reading | undefined>;
  /** What executions store that have not ended, by project. */
  countUnfinishedBytes(): Promise<UnfinishedBytes[]>;
  getOutline(executionId: string): Promise<Outline | undefined>;
  /** Newest first. */
  list(filter: ListFilter): Promise<Summary[]>;
  /** Newest first. */
  listDeadLetters(filter: Omit<ListFilter, "status" | "retryOf">): Promise<DeadLetter[]>;
  /** One dead letter and what was submitted; undefined when the execution is none. */
  getDeadLetter(
    executionId: string,
  ): Promise<{ readonly letter: DeadLetter; readonly submission: Submission } | undefined>;
  /** Takes at most `limit` pending executions that no living router has, oldest first. */
  claimPending(limit: number): Promise<Claim[]>;
  /** What this router has and has not ended, oldest first. */
  listOwn(): Promise<OwnExecution[]>;
  /** Gives an execution of this router back, for any router to claim. */
  release(executionId: string): Promise<void>;
  /** Takes over at most `limit` of those that have started, have not ended and belong to no living router. */
  claimLost(limit: number): Promise<LostExecution[]>;
  /** What was submitted. */
  /** Where an execution runs, and how often it has changed hands; undefined when it is not known to run anywhere. */
  getPlace(executionId: string): Promise<{ readonly grant: Grant; readonly epoch: number } | undefined>;
  getSubmission(executionId: string): Promise<Submission | undefined>;
  /** pending → running, by the router that has it; resolves to what is to run, undefined when it may not. */
  start(executionId: string, startedAtMs: number, grant: Grant): Promise<Started | undefined>;
  /** running → awaiting_llm, once for each question. */
  markAwaiting(executionId: string, question: LlmQuestion, executionTimeMs: number): Promise<boolean>;
  /** How long the script has run, while it does. It never goes down, whatever is stored when. */
  noteRunningTime(executionId: string, elapsedMs: number): Promise<void>;
  /** awaiting_llm → running, keeping the answer; `questionId` undefined answers whatever is open. */
  answer(executionId: string, questionId: string | undefined, response: string): Promise<boolean>;
  /** The answer to this question, once it was given. */
  getAnswer(executionId: string, questionId: string): Promise<string | undefined>;
  /** Adds to the output of an execution that has not ended, or replaces what has the same position. */
  appendOutput(executionId: string, piece: OutputPiece): Promise<boolean>;
  /** Adds to what was redacted from an execution; nothing happens when it is unknown. */
  addRedactions(executionId: string, redactions: readonly Redaction[]): Promise<void>;
  /** What was redacted, by secret and field; undefined when the execution is unknown. */
  getRedactions(executionId: string): Promise<Redaction[] | undefined>;
  /** Asks whoever runs the execution to end it; false when it has ended. */
  requestCancel(executionId: string): Promise<boolean>;
  isCancelRequested(executionId: string): Promise<boolean>;
  /** Any state that is not terminal → the ending's status, together with the last piece of the output. */
  finish(executionId: string, ending: Ending, last: OutputPiece, endedAtMs: number): Promise<boolean>;
  /** The same without output, whoever has the execution. */
  forceFinish(executionId: string, ending: Ending, endedAtMs: number): Promise<boolean>;
  /**
   * Forgets at most `limit` executions that ended before this time, fewer where they are large; resolves to how many, 0
   * when there are none.
   */
  deleteEndedBefore(endedBeforeMs: number, limit: number): Promise<number>;
  /** What each project that stores anything stores. */
  countStoredBytes(): Promise<StoredBytes[]>;
  /** What the disk of the database has room for. */
  capacity(): Promise<Capacity>;
  /**
   * Forgets ended executions of the project, the oldest first, until the project stores at most `keepBytes`; at most
   * `limit` of them at once, and fewer where they are large.
   */
  deleteOldestEnded(project: string, keepBytes: number, limit: number): Promise<Removal>;
  /**
   * Calls `listener` after each change of the execution's state, by whichever router; it may be called without one.
   * The returned function stops that.
   */
  onChange(executionId: string, listener: () => void): () => void;
  /** Calls `listener` when there may be something to claim; the returned function stops that. */
  onClaimable(listener: () => void): () => void;
  /** Rejects when the database cannot be used. */
  ping(): Promise<void>;
  /** Whether other routers may share the database. */
  readonly isShared: boolean;
  /** Gives back what this router has, then lets go of the database. */
  close(): Promise<void>;
};
