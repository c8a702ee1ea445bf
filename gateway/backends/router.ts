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

/** The execution that was accepted; `replayed` when an earlier request with the same idempotency key started it. */
export type Submitted = {
  readonly executionId: string;
  readonly status: ExecutionStatus;
  readonly replayed: boolean;
};

/** Resolves when so many bytes may be fetched, or rejects. */
export type Room = (bytes: number) => Promise<void>;

/** What the gateway needs of the router. Every call rejects with an AirlockError. */
export type RouterBackend = {
  submit(request: SubmitRequest, call: BackendChange): Promise<Submitted>;
  /**
   * Resolves when the execution needs attention, has ended, or `waitMs` are over. A large one is fetched once `room` has
   * resolved. `outputFrom`: the output that the client has, which is left out.
   */
  getExecution(
    executionId: string,
    waitMs: number,
    call: BackendCall,
    room: Room,
    outputFrom?: OutputFrom,
  ): Promise<ShownExecution>;
  listExecutions(request: ListExecutionsRequest, call: BackendCall): Promise<ListExecutionsResponse>;
  respond(request: RespondRequest, call: BackendChange): Promise<ShownExecution>;
  cancel(executionId: string, call: BackendChange): Promise<ShownExecution>;
  /** For operators: what was redacted from the execution's output. */
  getRedactions(executionId: string, call: BackendCall): Promise<Redactions[]>;

  /** For operators: what ended through Airlock's own fault. */
  listDeadLetters(request: ListDeadLettersRequest, call: BackendCall): Promise<ListDeadLettersResponse>;
  /** For operators: submits it once more. */
  retryDeadLetter(request: RetryDeadLetterRequest, call: BackendChange): Promise<Execution>;

  /** The names of the projects that accept no execution. */
  listHeldProjects(call: BackendCall): Promise<readonly string[]>;
  holdProject(name: string, call: BackendChange): Promise<void>;
  releaseProject(name: string, call: BackendChange): Promise<void>;
};
