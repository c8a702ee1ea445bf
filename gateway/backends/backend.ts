import type { Principal } from "#common/identity/principal.ts";
import type { Execution, ExecutionStatus } from "#proto/execution.ts";
import type { Project } from "#proto/pool_manager.ts";
import type { Dependency } from "#proto/readiness.ts";
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

/** The execution that was accepted; `replayed` when an earlier request with the same idempotency key started it. */
export type Submitted = {
  readonly executionId: string;
  readonly status: ExecutionStatus;
  readonly replayed: boolean;
};

/** Resolves when so many bytes may be fetched, or rejects. */
export type Room = (bytes: number) => Promise<void>;

/** `held`: it accepts no execution; null when that cannot be told. */
export type ProjectView = Project & { readonly held: boolean | null };

/** For whom a call is made, and how it is given up: `signal` aborts when the client has gone. */
export type BackendCall = { readonly principal: Principal; readonly signal: AbortSignal };

/**
 * A call that changes something has no signal. It runs to its end, so that its outcome does not depend on how long the
 * client stayed.
 */
export type BackendChange = Pick<BackendCall, "principal">;

/** What the routes need from the rest of Airlock. Every call rejects with an AirlockError. */
export type Backend = {
  submit(request: SubmitRequest, call: BackendChange): Promise<Submitted>;
  /**
   * Resolves when the execution needs attention, has ended, or `waitMs` are over. A large one is fetched once `room` has
   * resolved.
   */
  getExecution(
    executionId: string,
    waitMs: number,
    call: BackendCall,
    room: Room,
    /** What the client has of the output: it is left out. */
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

  listProjects(call: BackendCall): Promise<ProjectView[]>;
  getProject(name: string, call: BackendCall): Promise<ProjectView>;
  /** Ends a hold, too. `replicas` undefined: as many as the project's file says. */
  upProject(name: string, replicas: number | undefined, call: BackendChange): Promise<Project>;
  /** `hold`: nothing is accepted until the project is brought up again. */
  downProject(name: string, hold: boolean, call: BackendChange): Promise<Project>;

  /** Every service behind the gateway, reachable or not; does not reject. */
  readiness(): Promise<Dependency[]>;
  close(): void;
};
