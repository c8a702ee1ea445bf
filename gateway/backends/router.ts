import type { Execution, ExecutionStatus } from "#proto/execution.ts";
import type {
  ListDeadLettersRequest,
  ListDeadLettersResponse,
  ListExecutionsRequest,
  ListExecutionsResponse,
  OutputFrom,
  Redactions,
  RespondRequest,
  RetryDeadLetterRequest,
  SubmitRequest,
} from "#proto/router.ts";
import type { ShownExecution } from "../execution-text/execution-text.ts";
import type { BackendCall, BackendChange } from "./call.ts";

/**
 * An execution that the router accepted. `replayed` is true when an earlier request with the same idempotency
 * key started the execution, so that this request started nothing.
 */
export type Submitted = {
  readonly executionId: string;
  readonly status: ExecutionStatus;
  readonly replayed: boolean;
};

/**
 * Reserves memory of the gateway for a large answer: resolves when `bytes` may be fetched from the router,
 * rejects with `overloaded` when so much memory does not become free within five seconds.
 */
export type ReserveMemory = (bytes: number) => Promise<void>;

/** The calls that the gateway makes to the router. Every call rejects with an AirlockError. */
export type RouterBackend = {
  submit(request: SubmitRequest, call: BackendChange): Promise<Submitted>;
  /**
   * Reads an execution. Resolves when it is awaiting a response, has ended, or `waitMs` are over; 0 reads it
   * as it is now. `reserveMemory` is called before a large execution is fetched, and must resolve first.
   * `outputFrom` says how much output the client has already; that part is left out.
   */
  getExecution(
    executionId: string,
    waitMs: number,
    call: BackendCall,
    reserveMemory: ReserveMemory,
    outputFrom?: OutputFrom,
  ): Promise<ShownExecution>;
  listExecutions(request: ListExecutionsRequest, call: BackendCall): Promise<ListExecutionsResponse>;
  respond(request: RespondRequest, call: BackendChange): Promise<ShownExecution>;
  cancel(executionId: string, call: BackendChange): Promise<ShownExecution>;
  /** For operators: how often each secret was redacted from each part of the execution. */
  getRedactions(executionId: string, call: BackendCall): Promise<Redactions[]>;

  /** For operators: lists executions that ended through Airlock's or the operator's fault. */
  listDeadLetters(request: ListDeadLettersRequest, call: BackendCall): Promise<ListDeadLettersResponse>;
  /** For operators: submits the script of a dead letter again, as a new execution. */
  retryDeadLetter(request: RetryDeadLetterRequest, call: BackendChange): Promise<Execution>;

  /** The names of the held projects, which accept no execution until they are brought up. */
  listHeldProjects(call: BackendCall): Promise<readonly string[]>;
  holdProject(name: string, call: BackendChange): Promise<void>;
  releaseProject(name: string, call: BackendChange): Promise<void>;
};
