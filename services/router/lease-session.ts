import { AirlockError } from "../common/errors.ts";
import type {
  LeaseGranted,
  LeaseRequest,
  LeaseResponse,
  PoolManagerServiceClient,
} from "../common/gen/airlock/v1/pool_manager.ts";
import { type ClientDuplex, clientDuplex } from "../common/grpc-client.ts";

type LeaseEvent = NonNullable<LeaseResponse["event"]>;
type LeaseStream = ClientDuplex<LeaseResponse, LeaseRequest>;

/** A worker that this router may use for one execution, for as long as the session is open. */
export type LeaseSession = {
  /** Waits in the project's queue. Rejects with `start_failed`, `project_not_found`, `unavailable` or `cancelled`. */
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
};

/** Asks the pool-manager for a worker; `signal` takes the request back. */
export function openLease(
  poolManager: PoolManagerServiceClient,
  project: string,
  executionId: string,
  signal: AbortSignal,
): LeaseSession {
  const stream: LeaseStream = clientDuplex(poolManager.lease(), "pool-manager");
  const cancel = () => stream.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  return {
    async granted() {
      await stream.send({ action: { $case: "acquire", value: { project, executionId } } });
      const event = await expectEvent(stream, "granted");
      if (event.$case !== "granted") throw brokenProtocol();
      return event.value;
    },
    check: () => stream.check(),
    async park() {
      await stream.send({ action: { $case: "park", value: {} } });
      await expectEvent(stream, "parked");
    },
    async resume() {
      await stream.send({ action: { $case: "resume", value: {} } });
      await expectEvent(stream, "resumed");
    },
    async condemn() {
      await stream.send({ action: { $case: "condemn", value: {} } });
      // The pool-manager ends the lease when it has heard it; a cancellation could overtake the message.
      await stream.next();
    },
    release() {
      signal.removeEventListener("abort", cancel);
      stream.close();
    },
  };
}

async function expectEvent(stream: LeaseStream, wanted: LeaseEvent["$case"]): Promise<LeaseEvent> {
  for (;;) {
    const event = (await stream.next())?.event;
    if (event === undefined) throw new AirlockError("worker_lost", "The pool-manager ended the lease.");
    if (event.$case === wanted) return event;
    if (event.$case !== "queued") throw brokenProtocol();
  }
}

function brokenProtocol(): AirlockError {
  return new AirlockError("internal", "The pool-manager broke the lease protocol.");
}
