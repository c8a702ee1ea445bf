import { AirlockError, callCancelled, hasCode } from "#common/errors.ts";
import { alreadyRetried, idempotencyKeyReused, projectHeld } from "#common/execution-refusals.ts";
import { fingerprintOf, IDEMPOTENCY_KEY_RULE, isIdempotencyKey } from "#common/idempotency.ts";
import { type Scope, type Submitter, scopeOf, submitterOf } from "#common/identity/ownership.ts";
import type { Principal } from "#common/identity/principal.ts";
import { refuseOtherProjects } from "#common/identity/project-limit.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import type { Submission } from "#common/submission/submission.ts";
import { toSubmission } from "#common/submission/submission.ts";
import type { ProjectLimits } from "#proto/pool_manager.ts";
import { SubmitRequest } from "#proto/router.ts";
import type { Execution } from "../execution.ts";
import type { ProjectDirectory } from "../peers/projects.ts";
import type { Dispatcher } from "../run/dispatcher.ts";
import type { Storage } from "../storage/storage.ts";
import type { ScopedStore } from "../store/scoped-store.ts";
import type { ExecutionStore, InsertConditions } from "../store/store.ts";
import { bytesOfSubmission } from "../store/stored-bytes.ts";
import { findLetter } from "./dead-letters.ts";
import { hasShare, queueFull } from "./queue-limits.ts";

/**
 * An execution that was accepted. `replayed`: an earlier request with the same idempotency key started the
 * execution. It then comes without result, memory updates and output, because these may be large.
 */
export type Acceptance = { readonly execution: Execution; readonly replayed: boolean };

// The last two are those of a caller that gave up while its submission waited for the database.
const NOT_STORED = ["queue_full", "project_held", "cancelled", "deadline_exceeded"] as const;

/** Accepts executions. Each accepted execution reaches exactly one ending. */
export type Admission = {
  /** Rejects with `cancelled` when `signal` aborts before the execution is stored. */
  submit(request: SubmitRequest, principal: Principal, signal: AbortSignal): Promise<Acceptance>;
  /**
   * Submits the request of a dead letter once more, as a new execution of the principal that submitted the dead
   * letter. Rejects when the dead letter was retried before, unless `again` is true. `principal`: who retries.
   */
  retry(executionId: string, again: boolean, principal: Principal): Promise<Execution>;
};

export function createAdmission(parts: {
  readonly store: ScopedStore & Pick<ExecutionStore, "countQueues" | "listHeldProjects">;
  readonly storage: Storage;
  readonly projects: ProjectDirectory;
  readonly dispatcher: Dispatcher;
  readonly clock: Clock;
  readonly newId: () => string;
  /**
   * The largest number of unfinished executions over all projects. Beyond it only projects with fewer than
   * their share may submit.
   */
  readonly maxUnfinished: number;
  readonly log: Log;
}): Admission {
  const { store, storage, projects, dispatcher, clock, maxUnfinished, log } = parts;

  const replayOf = async (
    { key, fingerprint }: Idempotency,
    submitter: Submitter,
  ): Promise<Acceptance | undefined> => {
    const record = await store.getIdempotencyKey(key, submitter);
    if (!record) return undefined;
    if (record.fingerprint !== fingerprint) throw idempotencyKeyReused();
    const scope: Scope = { tenant: submitter.tenant, principal: submitter.principal };
    const reading =
      record.executionId === undefined ? undefined : await store.read(record.executionId, undefined, scope);
    if (!reading) throw forgotten();
    return { execution: reading.execution, replayed: true };
  };

  /**
   * Adds the execution to the store. Resolves to false when `isTaken` says that an earlier request with the
   * same idempotency key, or an earlier retry of the same dead letter, added one. Throws when the project is
   * held, or when the storage or a queue is full.
   */
  const insert = async (
    submission: Submission,
    submitter: Submitter,
    limits: ProjectLimits | undefined,
    conditions: InsertConditions,
    isTaken: () => Promise<boolean>,
    signal?: AbortSignal,
  ): Promise<boolean> => {
    const bytes = bytesOfSubmission(submission);
    // Nothing is deleted to make space for a repeated request, which needs none.
    const isWanted = async () => !(await isTaken());
    const room = await storage.reserve(submission.project, limits?.storedBytes, bytes, isWanted);
    if (!room) return false;
    let inserted = true;
    try {
      inserted = await insertInto(submission, submitter, limits?.queue, conditions, isTaken, signal);
      return inserted;
    } catch (error) {
      // Only these refusals say for certain that nothing was stored. After any other error the disk space
      // stays reserved, because a database that went away may have stored the submission before its answer
      // was lost.
      inserted = !NOT_STORED.some((code) => hasCode(error, code));
      throw error;
    } finally {
      if (inserted) room.used();
      else room.giveBack();
    }
  };

  const insertInto = async (
    submission: Submission,
    submitter: Submitter,
    queue: number | undefined,
    conditions: InsertConditions,
    isTaken: () => Promise<boolean>,
    signal: AbortSignal | undefined,
  ): Promise<boolean> => {
    const withLimits = { ...conditions, maxUnfinished: queue, maxUnfinishedInTotal: maxUnfinished };
    if (await store.insert(submission, withLimits, submitter, signal)) return true;
    if (await isTaken()) return false;
    if ((await store.listHeldProjects()).includes(submission.project)) throw projectHeld(submission.project);
    const queues = await store.countQueues(submission.project);
    if (hasShare(queues, maxUnfinished)) {
      if (await store.insert(submission, { ...conditions, maxUnfinished: queue }, submitter, signal))
        return true;
      if (await isTaken()) return false;
    }
    throw queueFull(submission.project, queues, queue, maxUnfinished);
  };

  /**
   * Checks the request and adds its execution. Resolves to undefined when an earlier request with the same
   * idempotency key added one.
   */
  const submitNew = async (
    request: SubmitRequest,
    submitter: Submitter,
    idempotency: Idempotency | undefined,
    signal: AbortSignal,
  ): Promise<Acceptance | undefined> => {
    const project = await projects.get(request.project);
    const submission = await toSubmission(request, project, parts.newId(), clock.now(), signal);
    // The caller has cancelled its call and takes the submission for failed. If the submission were stored
    // now, the caller's next attempt would run the script twice.
    if (signal.aborted) throw callCancelled();
    const isTaken = async () =>
      idempotency !== undefined && (await store.getIdempotencyKey(idempotency.key, submitter)) !== undefined;
    const isInserted = await insert(submission, submitter, project.limits, { idempotency }, isTaken, signal);
    return isInserted ? accept(submission, submitter) : undefined;
  };

  /** Hands an execution that is in the store to the dispatcher, which runs it. */
  const accept = (submission: Submission, submitter: Submitter, retryOf?: string): Acceptance => {
    const { executionId, project, timeoutMs } = submission;
    log.info({ executionId, project, timeoutMs, retryOf }, "execution accepted");
    dispatcher.dispatch(executionId, project, submitter);
    return { execution: pendingExecution(submission), replayed: false };
  };

  return {
    async submit(request, principal, signal) {
      refuseOtherProjects(principal, request.project);
      const submitter = submitterOf(principal);
      const idempotency = await idempotencyOf(request);
      try {
        const accepted = await submitNew(request, submitter, idempotency, signal);
        if (accepted) return accepted;
      } catch (error) {
        // A repeated request gets its execution whatever the checks say, because the project may have changed
        // or become full since the execution was accepted. The key is looked up only now, because most
        // requests with a key are not repeated.
        const replay = idempotency && !signal.aborted && (await replayOf(idempotency, submitter));
        if (!replay) throw error;
        return replay;
      }
      // Another request with the same idempotency key was stored first, so its execution is the answer.
      const winner = idempotency && (await replayOf(idempotency, submitter));
      if (winner) return winner;
      throw new AirlockError("unavailable", "The execution could not be added. Try again in a few seconds.");
    },

    async retry(executionId, again, principal) {
      const find = () => findLetter(store, executionId, scopeOf(principal, "execution.read"));
      const { letter, submission: first, submitter } = await find();
      refuseOtherProjects(principal, first.project);
      if (letter.retries > 0 && !again) throw alreadyRetried(letter.newestRetries.at(-1));
      const project = await projects.get(first.project);
      // The retry is checked against the project's present limits, as every other submission is.
      const request = SubmitRequest.fromPartial({ ...first, settings: { ...first.settings } });
      const submission = await toSubmission(request, project, parts.newId(), clock.now());
      const retry = { of: executionId, number: letter.retries + 1 };
      const isTaken = async () => (await find()).letter.retries >= retry.number;
      if (await insert(submission, submitter, project.limits, { retry }, isTaken)) {
        return accept(submission, submitter, executionId).execution;
      }
      throw alreadyRetried((await find()).letter.newestRetries.at(-1));
    },
  };
}

type Idempotency = NonNullable<InsertConditions["idempotency"]>;

async function idempotencyOf(request: SubmitRequest): Promise<Idempotency | undefined> {
  const { idempotencyKey: key } = request;
  if (key === undefined) return undefined;
  if (!isIdempotencyKey(key)) {
    throw new AirlockError("invalid_request", `idempotency_key ${IDEMPOTENCY_KEY_RULE}.`);
  }
  return { key, fingerprint: await fingerprintOf(request) };
}

function pendingExecution({ executionId, project, createdAtMs }: Submission): Execution {
  return {
    executionId,
    project,
    createdAtMs,
    stdout: "",
    stderr: "",
    executionTimeMs: null,
    state: { status: "pending" },
  };
}

function forgotten(): AirlockError {
  return new AirlockError(
    "execution_forgotten",
    "The execution that this idempotency key started has ended and was forgotten, after its retention time or to make room for newer ones; it is not run again. To run the script once more, send it with a new key.",
  );
}
