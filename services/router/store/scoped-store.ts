import type { Scope, Submitter } from "#common/identity/ownership.ts";
import type { Submission } from "#common/submission/submission.ts";
import type { Execution, Redaction } from "../execution.ts";
import type {
  DeadLetter,
  IdempotencyRecord,
  InsertConditions,
  ListFilter,
  Outline,
  OutputFrom,
  Reading,
  StoredLetter,
  Summary,
} from "./store.ts";

/**
 * The methods of the store that act for a principal. The type demands the scope, or the submitter, so that
 * no call of a principal can reach an execution without one.
 */
export type ScopedStore = {
  insert(
    submission: Submission,
    conditions: InsertConditions,
    submitter: Submitter,
    signal?: AbortSignal,
  ): Promise<boolean>;
  getIdempotencyKey(key: string, submitter: Submitter): Promise<IdempotencyRecord | undefined>;
  get(executionId: string, scope: Scope): Promise<Execution | undefined>;
  read(executionId: string, from: OutputFrom | undefined, scope: Scope): Promise<Reading | undefined>;
  getOutline(executionId: string, scope: Scope): Promise<Outline | undefined>;
  list(filter: ListFilter & { readonly scope: Scope }): Promise<Summary[]>;
  listDeadLetters(
    filter: Omit<ListFilter, "status" | "retryOf"> & { readonly scope: Scope },
  ): Promise<DeadLetter[]>;
  getDeadLetter(executionId: string, scope: Scope): Promise<StoredLetter | undefined>;
  respond(
    executionId: string,
    llmRequestId: string | undefined,
    response: string,
    scope: Scope,
  ): Promise<boolean>;
  getRedactions(executionId: string, scope: Scope): Promise<Redaction[] | undefined>;
  requestCancel(executionId: string, scope: Scope): Promise<boolean>;
};
