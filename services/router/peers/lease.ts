import { AirlockError, hasCode } from "#common/errors.ts";
import { type ClientDuplex, clientDuplex } from "#common/grpc/client.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type {
  LeaseGranted,
  LeaseRequest,
  LeaseResponse,
  PoolManagerServiceClient,
} from "#proto/pool_manager.ts";
import {
  actionOf,
  answered,
  asked,
  broken,
  brokenProtocol,
  condemned,
  granted,
  isParkedFirst,
  type LeaseEvent,
  type LeaseState,
  lostFor,
  WAITING,
} from "./lease-state.ts";

type LeaseStream = ClientDuplex<LeaseResponse, LeaseRequest>;

/**
 * The worker that a router asks for. `workerId` is empty for any worker of the project, or names the one that runs
 * the execution already.
 */
export type LeaseWish = {
  readonly project: string;
  readonly executionId: string;
  readonly workerId: string;
};

/**
 * The right to use one worker for one execution, for as long as the lease is open. After the grant, the lease
 * survives a restart of the pool-manager: the router asks the new one for the same worker.
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
  /** Gives the worker back and has it replaced, because it did not end the run. */
  condemn(): Promise<void>;
  /** Ends the lease without freeing the worker, so that another router can take the execution over. */
  abandon(): void;
};

const ASK_AGAIN_MS = 500;

export function openLease(
  poolManager: PoolManagerServiceClient,
  wish: LeaseWish,
  clock: Clock,
): LeaseSession {
  let stream = open(poolManager);
  let state: LeaseState = WAITING;
  const isOver = () => state.kind === "over";
  const gone = Promise.withResolvers<never>();
  gone.promise.catch(() => undefined);

  const acquire = async (workerId: string): Promise<LeaseGranted> => {
    await stream.send({ action: { $case: "acquire", value: { ...wish, workerId } } });
    for (;;) {
      const event = await nextEvent(stream);
      if (event.$case === "granted") return event.value;
      if (event.$case !== "queued") throw brokenProtocol();
    }
  };

  /** Reads the pool-manager's messages until the lease ends. */
  const follow = async (workerId: string) => {
    while (!isOver()) {
      try {
        const event = await nextEvent(stream);
        state = answered(state, event.$case);
      } catch (error) {
        state = broken(state);
        await recover(workerId, error);
      }
    }
  };

  /** Asks a new stream for the same worker, until it is granted or lost. */
  const recover = async (workerId: string, cause: unknown) => {
    for (let error = cause; state.kind === "recovering"; ) {
      if (!isTransient(error)) return lose(error);
      await new Promise<void>((resolve) => clock.after(ASK_AGAIN_MS, resolve));
      if (isOver()) return;
      stream.cancel();
      stream = open(poolManager);
      try {
        await acquire(workerId);
        if (state.kind !== "recovering") return;
        if (isParkedFirst(state.goal)) await parkAgain();
        if (state.kind !== "recovering") return;
        state = state.goal;
        const action = actionOf(state);
        if (action) await stream.send({ action });
        return;
      } catch (again) {
        state = broken(state);
        error = again;
      }
    }
  };

  const parkAgain = async () => {
    await stream.send({ action: { $case: "park", value: {} } });
    if ((await nextEvent(stream)).$case !== "parked") throw brokenProtocol();
  };

  const lose = (error: unknown) => {
    state = lostFor(state, error);
    gone.reject(error);
    stream.close();
  };

  /**
   * Sends the request that the state waits for. While a new stream acquires the worker, no other request may be sent.
   */
  const say = async () => {
    const action = actionOf(state);
    // A failed send is ignored, because `follow` then sees the broken stream, and `recover` sends the request again on
    // a new stream.
    if (action) await stream.send({ action }).catch(() => undefined);
  };

  // Requests go out one at a time, because a pause that broke off may still wait for the answer to its own.
  let earlier: Promise<void> = Promise.resolve();
  const ask = (kind: "park" | "resume") => {
    const done = Promise.withResolvers<void>();
    const isAnswered = earlier.then(async () => {
      state = asked(state, kind, done);
      await say();
      await done.promise;
    });
    earlier = isAnswered.catch(() => undefined);
    return isAnswered;
  };

  return {
    lost: gone.promise,
    async granted() {
      const worker = await acquire(wish.workerId);
      state = granted(state);
      void follow(worker.workerId);
      return worker;
    },
    check() {
      if (state.kind === "over" && state.lost !== undefined) throw state.lost;
    },
    park: () => ask("park"),
    resume: () => ask("resume"),
    async condemn() {
      const heard = Promise.withResolvers<void>();
      const before = state;
      state = condemned(before, heard);
      if (state === before) return;
      await say();
      // The pool-manager ends the lease when it has heard it; a cancellation could overtake the message.
      await heard.promise;
    },
    release() {
      if (isOver()) return;
      state = { kind: "over", lost: undefined };
      // The message and the end of the stream go out together. A broken stream needs neither.
      stream.send({ action: { $case: "release", value: {} } }).catch(() => undefined);
      stream.close();
    },
    abandon() {
      if (!isOver()) state = { kind: "over", lost: undefined };
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

/** Whether the pool-manager cannot be reached, which says nothing about the worker. */
function isTransient(error: unknown): boolean {
  return ["unavailable", "cancelled", "deadline_exceeded"].some((code) =>
    hasCode(error, code as "unavailable"),
  );
}
