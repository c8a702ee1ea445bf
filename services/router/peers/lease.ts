import { AirlockError, hasCode } from "#common/errors.ts";
import { type ClientDuplex, clientDuplex } from "#common/grpc/client.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type {
  LeaseGranted,
  LeaseRequest,
  LeaseResponse,
  PoolManagerServiceClient,
} from "#proto/pool_manager.ts";

type LeaseEvent = NonNullable<LeaseResponse["event"]>;
type LeaseAction = NonNullable<LeaseRequest["action"]>;
type LeaseStream = ClientDuplex<LeaseResponse, LeaseRequest>;

/** What is asked for: any worker of the project, or the one on which the execution runs already. */
export type LeaseWish = {
  readonly project: string;
  readonly executionId: string;
  readonly workerId: string;
};

/**
 * A worker that this router may use for one execution, for as long as the session is open. Once it is granted, a
 * pool-manager that restarts is waited for, and asked for the same worker again.
 */
export type LeaseSession = {
  /** Rejects when the worker is gone; never resolves. */
  readonly lost: Promise<never>;
  /** Waits in the project's queue. Rejects with `start_failed`, `project_not_found`, `worker_lost` or `unavailable`. */
  granted(): Promise<LeaseGranted>;
  /** Throws when the worker that was granted is known to be lost. */
  check(): void;
  /** Gives the slot back while the script waits for an answer. */
  park(): Promise<void>;
  /** Waits for a slot on the same worker. */
  resume(): Promise<void>;
  /** Gives the worker back. */
  release(): void;
  /** Gives the worker back as one that does not obey: it is replaced. */
  condemn(): Promise<void>;
  /** Leaves the worker to whoever takes the execution over. */
  abandon(): void;
};

const ASK_AGAIN_MS = 500;

export function openLease(
  poolManager: PoolManagerServiceClient,
  wish: LeaseWish,
  clock: Clock,
): LeaseSession {
  let stream = open(poolManager);
  let isOver = false;
  // The action whose event has not come yet.
  let asked:
    | { action: LeaseAction; wanted: LeaseEvent["$case"]; done: PromiseWithResolvers<void> }
    | undefined;
  // The slot was given back and not asked for again.
  let isParked = false;
  // While a new stream asks for the worker, it must hear of nothing else.
  let isRecovering = false;
  // Why the worker cannot be had any more.
  let lost: unknown;
  const gone = Promise.withResolvers<never>();
  gone.promise.catch(() => undefined);
  let condemned: (() => void) | undefined;

  const acquire = async (workerId: string): Promise<LeaseGranted> => {
    await stream.send({ action: { $case: "acquire", value: { ...wish, workerId } } });
    for (;;) {
      const event = await nextEvent(stream);
      if (event.$case === "granted") return event.value;
      if (event.$case !== "queued") throw brokenProtocol();
    }
  };

  /** Reads for as long as the lease lasts. */
  const follow = async (workerId: string) => {
    while (!isOver) {
      try {
        const event = await nextEvent(stream);
        if (event.$case !== asked?.wanted) throw brokenProtocol();
        isParked = asked.wanted === "parked";
        asked.done.resolve();
        asked = undefined;
      } catch (error) {
        condemned?.();
        if (!isOver) await recover(workerId, error);
      }
    }
  };

  /** After the stream broke: has the worker again, or `lost` says why not. */
  const recover = async (workerId: string, cause: unknown) => {
    for (let error = cause; !isOver; ) {
      isRecovering = true;
      if (!isPassing(error)) return lose(error);
      await new Promise<void>((resolve) => clock.after(ASK_AGAIN_MS, resolve));
      if (isOver) return;
      stream.cancel();
      stream = open(poolManager);
      try {
        await acquire(workerId);
        // Whoever comes back has the slot, also one that had given it up.
        if (isParked) await parkAgain();
        isRecovering = false;
        if (asked) await stream.send({ action: asked.action });
        return;
      } catch (again) {
        error = again;
      }
    }
  };

  const parkAgain = async () => {
    await stream.send({ action: { $case: "park", value: {} } });
    if ((await nextEvent(stream)).$case !== "parked") throw brokenProtocol();
  };

  const lose = (error: unknown) => {
    isOver = true;
    lost = error;
    gone.reject(error);
    asked?.done.reject(error);
    stream.close();
  };

  // One at a time: a pause that broke off while it waited for its slot leaves its question behind.
  let earlier: Promise<void> = Promise.resolve();
  const ask = (action: LeaseAction, wanted: LeaseEvent["$case"]) => {
    const answered = earlier.then(() => askNow(action, wanted));
    earlier = answered.catch(() => undefined);
    return answered;
  };
  const askNow = async (action: LeaseAction, wanted: LeaseEvent["$case"]) => {
    if (lost !== undefined) throw lost;
    const done = Promise.withResolvers<void>();
    asked = { action, wanted, done };
    // When it breaks here, `recover` sends it again.
    if (!isRecovering) await stream.send({ action }).catch(() => undefined);
    await done.promise;
  };

  return {
    lost: gone.promise,
    async granted() {
      const granted = await acquire(wish.workerId);
      void follow(granted.workerId);
      return granted;
    },
    check() {
      if (lost !== undefined) throw lost;
    },
    park: () => ask({ $case: "park", value: {} }, "parked"),
    resume: () => ask({ $case: "resume", value: {} }, "resumed"),
    async condemn() {
      if (isOver) return;
      const heard = new Promise<void>((resolve) => {
        condemned = resolve;
      });
      await stream.send({ action: { $case: "condemn", value: {} } });
      // The pool-manager ends the lease when it has heard it; a cancellation could overtake the message.
      await heard;
    },
    release() {
      if (isOver) return;
      isOver = true;
      // Both go out together; a stream that has broken needs neither.
      stream.send({ action: { $case: "release", value: {} } }).catch(() => undefined);
      stream.close();
    },
    abandon() {
      isOver = true;
      stream.cancel();
    },
  };
}

function open(poolManager: PoolManagerServiceClient): LeaseStream {
  return clientDuplex(poolManager.lease(), "pool-manager");
}

async function nextEvent(stream: LeaseStream): Promise<LeaseEvent> {
  const event = (await stream.next())?.event;
  if (event === undefined) throw new AirlockError("worker_lost", "The pool-manager ended the lease.");
  return event;
}

/** Whether the pool-manager, and not the worker, is away: it may come back with the worker. */
function isPassing(error: unknown): boolean {
  return ["unavailable", "cancelled", "deadline_exceeded"].some((code) =>
    hasCode(error, code as "unavailable"),
  );
}

function brokenProtocol(): AirlockError {
  return new AirlockError("internal", "The pool-manager broke the lease protocol.");
}
