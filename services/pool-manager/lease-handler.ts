import { AirlockError } from "#common/errors.ts";
import type { CallContext } from "#common/grpc/server.ts";
import type { Duplex } from "#common/grpc/stream.ts";
import type { LeaseRequest, LeaseResponse } from "#proto/pool_manager.ts";
import type { Lease } from "./pool/lease.ts";
import type { Pools } from "./pool/pools.ts";

type LeaseStream = Duplex<LeaseRequest, LeaseResponse>;

/**
 * Serves one lease stream of a router, from its first message to its end: grants a worker to one execution,
 * and then serves the router's requests until the lease is over.
 */
export async function serveLease(stream: LeaseStream, { signal }: CallContext, pools: Pools): Promise<void> {
  const first = (await stream.next())?.action;
  if (first?.$case !== "acquire") throw brokenProtocol("The first message of a lease must be acquire.");
  const { workerId, executionId } = first.value;
  const { project, pool } = await pools.open(first.value.project, workerId !== "");
  if (signal.aborted) return;
  const askedAtMs = performance.now();
  const lease =
    workerId === "" ? pool.acquire(project.replicas, executionId) : pool.attach(workerId, executionId);
  let isGranted = false;
  let isBroken = true;
  const release = () => lease.release();
  // The execution of a router that dies while it waits leaves the queue at once. Otherwise the dead router
  // could be granted a worker before its death is noticed.
  signal.addEventListener("abort", release, { once: true });
  try {
    const position = lease.position();
    if (position > 0) await stream.send({ event: { $case: "queued", value: { position } } });
    // Before the grant, the only message that a router may send is `release`, by which it gives the lease up.
    const next = stream.next();
    const worker = await Promise.race([lease.granted, next.then(gaveUp)]);
    if (!worker) return;
    signal.removeEventListener("abort", release);
    isGranted = true;
    if (workerId === "") pools.granted(project.name, performance.now() - askedAtMs);
    await stream.send({
      event: {
        $case: "granted",
        value: {
          workerId: worker.id,
          workerAddress: worker.address,
          secretsVersion: worker.secretsVersion(),
          llmTimeoutMs: project.limits.llmTimeoutMs,
          network: worker.network(),
        },
      },
    });
    isBroken = (await Promise.race([obey(stream, lease, next), lease.lost.then(workerLost)])) === "broken";
  } finally {
    signal.removeEventListener("abort", release);
    if (isGranted && isBroken) lease.abandon(project.limits.llmTimeoutMs);
    else lease.release();
  }
}

/**
 * Serves the router's requests after the grant. Resolves to `over` when the router released or condemned the
 * worker. A stream that ends without such a message is `broken`, because the end of a stream looks the same
 * whether its caller has finished or died.
 */
async function obey(
  stream: LeaseStream,
  lease: Lease,
  first: Promise<LeaseRequest | null>,
): Promise<"over" | "broken"> {
  for (let next = first; ; next = stream.next()) {
    const action = (await next)?.action;
    switch (action?.$case) {
      case undefined:
        return "broken";
      case "release":
        return "over";
      case "park":
        lease.park();
        await stream.send({ event: { $case: "parked", value: {} } });
        break;
      case "resume":
        await lease.resume();
        await stream.send({ event: { $case: "resumed", value: {} } });
        break;
      case "condemn":
        lease.condemn();
        return "over";
      case "acquire":
        throw brokenProtocol("A lease is acquired once.");
    }
  }
}

function gaveUp(message: LeaseRequest | null): undefined {
  if (message !== null && message.action?.$case !== "release")
    throw brokenProtocol("A lease that is not granted can only be given up.");
}

function workerLost(how: string): never {
  throw new AirlockError("worker_lost", `The worker was lost: it ${how}.`);
}

function brokenProtocol(message: string): AirlockError {
  return new AirlockError("invalid_request", message);
}
