import type { EndReasonName, Status } from "../../common/execution-names.ts";
import type { Ending, Execution, LlmQuestion, Output, Redaction, Submission } from "../execution.ts";

export type Summary = {
  readonly executionId: string;
  readonly project: string;
  readonly status: Status;
  readonly endReason: EndReasonName | null;
  readonly executionTimeMs: number | null;
  readonly createdAtMs: number;
  readonly endedAtMs: number | null;
};

export type ListFilter = {
  readonly project: string | undefined;
  readonly status: Status | undefined;
  readonly limit: number;
  /** Only executions older than this id; ids sort by creation. */
  readonly before: string | undefined;
};

export type Unfinished = { readonly executionId: string; readonly project: string; readonly status: Status };

/**
 * The port to the database. Every change is conditional on the state it starts from and says whether it took
 * place, so that of two racing callers exactly one wins; a terminal state never changes.
 */
export type ExecutionStore = {
  insert(submission: Submission): Promise<void>;
  get(executionId: string): Promise<Execution | undefined>;
  /** What was submitted, for whoever runs it. */
  getSubmission(executionId: string): Promise<Submission | undefined>;
  /** Newest first. */
  list(filter: ListFilter): Promise<Summary[]>;
  /** pending → running. */
  markRunning(executionId: string, startedAtMs: number): Promise<boolean>;
  /** running → awaiting_llm. */
  markAwaiting(executionId: string, question: LlmQuestion, executionTimeMs: number): Promise<boolean>;
  /** awaiting_llm → running, keeping the answer; `questionId` undefined answers whatever is open. */
  answer(executionId: string, questionId: string | undefined, response: string): Promise<boolean>;
  /** The answer to this question, once it was given. */
  getAnswer(executionId: string, questionId: string): Promise<string | undefined>;
  /** Adds to the output of an execution that has not ended. */
  appendOutput(executionId: string, output: Output): Promise<boolean>;
  /** Adds to what was redacted from an execution; nothing happens when it is unknown. */
  addRedactions(executionId: string, redactions: readonly Redaction[]): Promise<void>;
  /** What was redacted, by secret and field; undefined when the execution is unknown. */
  getRedactions(executionId: string): Promise<Redaction[] | undefined>;
  /** Asks whoever runs the execution to end it; false when it has ended. */
  requestCancel(executionId: string): Promise<boolean>;
  isCancelRequested(executionId: string): Promise<boolean>;
  /** Any state that is not terminal → the ending's status, together with the rest of the output. */
  finish(executionId: string, ending: Ending, output: Output, endedAtMs: number): Promise<boolean>;
  /** Everything that has not ended, oldest first. */
  listUnfinished(): Promise<Unfinished[]>;
  /** Forgets at most `limit` executions that ended before this time; resolves to how many. */
  deleteEndedBefore(endedBeforeMs: number, limit: number): Promise<number>;
  /** Calls `listener` after each change of the execution's state; the returned function stops that. */
  onChange(executionId: string, listener: () => void): () => void;
  close(): Promise<void>;
};
