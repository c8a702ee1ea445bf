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
 * The worker that a router asks the pool-manager for. `workerId` is empty for any worker of the project, or
 * names the worker that runs the execution already.
 */
export type LeaseWish = {
  readonly project: string;
  readonly executionId: string;
  readonly workerId: string;
};

/**
 * The right to use one worker for one execution, until the router ends the lease or the worker is lost. After
 * the grant, the lease survives a restart of the pool-manager, because the router asks the restarted
 * pool-manager for the same worker.
 */
export type LeaseSession = {
  /** Rejects with the reason when the worker of the lease is lost; never resolves. */
  readonly lost: Promise<never>;
  /**
   * Asks for a worker and waits in the project's queue until the pool-manager grants one. Rejects with
   * `start_failed`, `project_not_found`, `worker_lost` or `unavailable`.
   */
  granted(): Promise<LeaseGranted>;
  /** Throws the reason when the granted worker is known to be lost; otherwise does nothing. */
  check(): void;
  /**
   * Gives the worker's slot back to the pool-manager while the script waits for a response. The worker keeps
   * the paused run. Resolves when the pool-manager has confirmed.
   */
  park(): Promise<void>;
  /** Waits until the paused run has a slot on its worker again. */
  resume(): Promise<void>;
  /** Ends the lease after the run, so that the worker is free for another run. */
  release(): void;
  /**
   * Ends the lease and makes the pool-manager replace the worker, because the worker did not end the run.
   * Resolves when the pool-manager has ended the lease.
   */
  condemn(): Promise<void>;
  /**
   * Ends the lease without freeing the worker. The pool-manager keeps the worker for a minute, so that
   * another router can take the execution over.
   */
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

  /** Reads the pool-manager's answers until the lease is over. When the stream breaks, calls `recover`. */
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

  /**
   * Opens new streams to the pool-manager, one every 500 ms, and asks on each for the same worker, until the
   * worker is granted again or lost.
   */
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
   * Sends the request that has no answer yet, if there is one. While a new stream acquires the worker again,
   * nothing is sent, because no other request may come before the grant.
   */
  const say = async () => {
    const action = actionOf(state);
    // A failed send is ignored, because `follow` then sees the broken stream, and `recover` sends the request again on
    // a new stream.
    if (action) await stream.send({ action }).catch(() => undefined);
  };

  // Park and resume requests go out one at a time, because an earlier pause that broke off may still wait for
  // the answer to its own request.
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
      // The router waits until the pool-manager has ended the lease, because a cancelled stream could
      // overtake the condemn message.
      await heard.promise;
    },
    release() {
      if (isOver()) return;
      state = { kind: "over", lost: undefined };
      // The release message and the end of the stream are sent together. A failed send is ignored, because
      // the lease is over and the pool-manager notices a broken stream by itself.
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

/**
 * Whether the error only means that the pool-manager cannot be reached. Such an error says nothing about the
 * worker, so the router asks again.
 */
function isTransient(error: unknown): boolean {
  return ["unavailable", "cancelled", "deadline_exceeded"].some((code) =>
    hasCode(error, code as "unavailable"),
  );
}
