import type { Clock } from "../common/clock.ts";
import { AirlockError } from "../common/errors.ts";
import type { SubmitRequest } from "../common/gen/airlock/v1/router.ts";
import { fingerprintOf, IDEMPOTENCY_KEY_RULE, isIdempotencyKey } from "../common/idempotency.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { Execution, Submission } from "./execution.ts";
import type { ProjectDirectory } from "./project-directory.ts";
import { hasShare, queueFull } from "./queue-limits.ts";
import type { ExecutionStore, InsertConditions } from "./store/store.ts";
import { toSubmission } from "./submission.ts";

/** An execution that was accepted, now or by an earlier request with the same idempotency key. */
export type Acceptance = { readonly execution: Execution; readonly replayed: boolean };

/** The way in: what is accepted here ends exactly once. */
export type Admission = {
  submit(request: SubmitRequest): Promise<Acceptance>;
};

export function createAdmission(parts: {
  readonly store: ExecutionStore;
  readonly projects: ProjectDirectory;
  readonly dispatcher: Dispatcher;
  readonly clock: Clock;
  readonly newId: () => string;
  /** Executions of all projects that may not have ended. */
  readonly maxUnfinished: number;
}): Admission {
  const { store, projects, dispatcher, clock, maxUnfinished } = parts;

  const replayOf = async ({ key, fingerprint }: Idempotency): Promise<Acceptance | undefined> => {
    const record = await store.getIdempotencyKey(key);
    if (!record) return undefined;
    if (record.fingerprint !== fingerprint) throw keyReused();
    const execution = record.executionId === undefined ? undefined : await store.get(record.executionId);
    if (!execution) throw forgotten();
    return { execution, replayed: true };
  };

  /** Adds the execution as far as the limits go; false when something else than a limit is in its way. */
  const insert = async (
    submission: Submission,
    queue: number | undefined,
    idempotency: Idempotency | undefined,
  ): Promise<boolean> => {
    const conditions: InsertConditions = { maxUnfinished: queue, idempotency };
    if (await store.insert(submission, { ...conditions, maxUnfinishedInTotal: maxUnfinished })) return true;
    if (idempotency && (await store.getIdempotencyKey(idempotency.key))) return false;
    const queues = await store.countQueues(submission.project);
    if (hasShare(queues, maxUnfinished)) {
      const withShares = { ...conditions, maxUnfinishedInTotal: 2 * maxUnfinished };
      if (await store.insert(submission, withShares)) return true;
      if (idempotency && (await store.getIdempotencyKey(idempotency.key))) return false;
    }
    throw queueFull(submission.project, queues, queue, maxUnfinished);
  };

  return {
    async submit(request) {
      const idempotency = idempotencyOf(request);
      // First of all: what was accepted once is told again, though its project may have changed or be full by now.
      const replay = idempotency && (await replayOf(idempotency));
      if (replay) return replay;
      const project = await projects.get(request.project);
      const submission = toSubmission(request, project, parts.newId(), clock.now());
      if (await insert(submission, project.limits?.queue, idempotency)) {
        dispatcher.dispatch(submission.executionId, submission.project);
        return { execution: pendingExecution(submission), replayed: false };
      }
      // Another request with this key was faster.
      const winner = idempotency && (await replayOf(idempotency));
      if (winner) return winner;
      throw new AirlockError("unavailable", "The execution could not be added. Try again in a few seconds.");
    },
  };
}

type Idempotency = NonNullable<InsertConditions["idempotency"]>;

function idempotencyOf(request: SubmitRequest): Idempotency | undefined {
  const { idempotencyKey: key } = request;
  if (key === undefined) return undefined;
  if (!isIdempotencyKey(key)) {
    throw new AirlockError("invalid_request", `idempotency_key ${IDEMPOTENCY_KEY_RULE}.`);
  }
  return { key, fingerprint: fingerprintOf(request) };
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

function keyReused(): AirlockError {
  return new AirlockError(
    "idempotency_key_reused",
    "This idempotency key was used for another request: project, code, timeout, settings or memory differ. Send the first request again as it was, or this one with a new key.",
  );
}

function forgotten(): AirlockError {
  return new AirlockError(
    "execution_forgotten",
    "The execution that this idempotency key started has ended and was forgotten after its retention time; it is not run again. To run the script once more, send it with a new key.",
  );
}
