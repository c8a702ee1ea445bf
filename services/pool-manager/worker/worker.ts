import type { ServiceError } from "@grpc/grpc-js";
import { AirlockError, asAirlockError, ERROR_RULES, isShortage } from "#common/errors.ts";
import { callUnary, connectTo } from "#common/grpc/client.ts";
import { fromGrpcError } from "#common/grpc/errors.ts";
import { ready } from "#common/grpc/ready.ts";
import type { TlsIdentity } from "#common/identity/tls-identity.ts";
import type { Project } from "#common/projects/file.ts";
import type { Log } from "#common/service/log.ts";
import type { InstalledPackage, IsolationFact, IsolationLayer } from "#proto/pool_manager.ts";
import { type HeldRun, type WatchStatusResponse, WorkerServiceClient, WorkerState } from "#proto/worker.ts";
import type { WorkerProcess } from "../drivers/driver.ts";
import { TransientFailure } from "../drivers/transient-failure.ts";
import type { Provision } from "./provisioning.ts";
import { watchWorker } from "./worker-watch.ts";

/** The measurements that a worker's probe run made inside the sandbox. */
export type Posture = {
  /** The layers (protections around runs), and whether each is in force. */
  readonly layers: readonly IsolationLayer[];
  /** Further facts about the sandbox, for operators to read. */
  readonly facts: readonly IsolationFact[];
  /** The packages that scripts can import, by name. */
  readonly packages: readonly InstalledPackage[];
};

/** A worker that is ready to run scripts. */
export type Worker = {
  readonly id: string;
  readonly address: string;
  readonly posture: Posture;
  /**
   * The runs that were on the worker when this process connected to it; empty unless the worker was taken
   * over.
   */
  readonly attachableRuns: readonly HeldRun[];
  /**
   * The version of the secret values that the worker was given last; empty for a taken-over worker that has
   * been given none yet.
   */
  secretsVersion(): string;
  /**
   * Whether the worker's next run expects a network route, which the router opens through the egress service;
   * false as long as `secretsVersion` is empty.
   */
  network(): boolean;
  /**
   * Gives the worker the current values of its project (settings, limits, secrets). Rejects when they cannot
   * be fetched.
   */
  refresh(): Promise<void>;
  /** Resolves with the reason when the worker asks to be replaced. The worker can still run scripts then. */
  readonly retiring: Promise<string>;
  /** Resolves with the reason when no script may be sent to the worker any more. */
  readonly ending: Promise<string>;
  /** Resolves with the reason when the worker is gone. */
  readonly gone: Promise<string>;
  stop(): Promise<void>;
};

// Milliseconds until a worker answers at its address. The time may be short, because a worker answers before
// it imports any package.
const CONNECT_TIMEOUT_MS = 30_000;
const READY_TIMEOUT_MS = 120_000;
const PROVISION_TIMEOUT_MS = 10_000;

/** Everything that one worker needs from this service, for its whole life. */
export type WorkerParts = {
  readonly project: Project;
  readonly workerId: string;
  readonly provide: () => Promise<Provision>;
  readonly log: Log;
  readonly tls?: TlsIdentity | undefined;
  /** Whether a project with a network starts only where each run has a network namespace; false unless said. */
  readonly needsNetworkNamespace?: boolean;
};

/**
 * Launches one worker, connects to it, gives it its values and waits until it is ready. Rejects with
 * `start_failed` and the reason: the import error of a package, or a layer that the project demands and this
 * machine does not have. Rejects with a TransientFailure when the worker ended early or could not be reached.
 * A rejection leaves nothing of the worker. `signal` gives the start up.
 */
export async function startWorker(
  launch: () => Promise<WorkerProcess>,
  parts: WorkerParts,
  signal: AbortSignal,
): Promise<Worker> {
  const first = await parts.provide();
  return await awaitWorker(await launch(), parts, signal, first);
}

/**
 * Waits for a worker that runs already. Its values are fetched before its next run and not here, because its
 * runs must not end when the values cannot be fetched.
 */
export async function takeOverWorker(
  process: WorkerProcess,
  parts: WorkerParts,
  signal: AbortSignal,
): Promise<Worker> {
  return await awaitWorker(process, parts, signal);
}

async function awaitWorker(
  process: WorkerProcess,
  { project, workerId, provide, log, tls, needsNetworkNamespace }: WorkerParts,
  signal: AbortSignal,
  first?: Provision,
): Promise<Worker> {
  const client = connectTo(WorkerServiceClient, process.address, tls);
  let provisioned: Provision | undefined;
  const provision = async (values: Provision) => {
    if (provisioned?.revision === values.revision) return;
    const secrets = values.secrets.map((secret) => ({ name: secret.name, value: secret.reveal() }));
    const request = { ...values.request, workerId, secrets };
    await callUnary(client, client.provision, request, "worker", { timeoutMs: PROVISION_TIMEOUT_MS });
    provisioned = values;
  };
  const ready = Promise.withResolvers<Posture>();
  ready.promise.catch(() => undefined);
  const retiring = Promise.withResolvers<string>();
  const ending = Promise.withResolvers<string>();
  const over = new AbortController();
  void process.gone.then(() => over.abort());
  let attachableRuns: readonly HeldRun[] = [];
  const onStatus = ({ state, detail, ...measured }: WatchStatusResponse) => {
    if (!first && measured.heldRuns.length > 0) attachableRuns = measured.heldRuns;
    // A taken-over worker that asks to be replaced is ready too, because runs still live on it.
    if (state === WorkerState.READY || (state === WorkerState.RETIRING && !first)) {
      ready.resolve({
        layers: measured.isolationLayers,
        facts: measured.isolationFacts,
        packages: measured.installedPackages,
      });
    }
    if (state === WorkerState.RETIRING) retiring.resolve(detail);
    if (state === WorkerState.FAILED) ready.reject(new AirlockError("start_failed", detail));
  };
  const watch = async () => {
    const about = { project: project.name, workerId };
    const onBreak = (err: ServiceError) =>
      log.warn({ ...about, err }, "the connection to a worker broke; asking again how it is");
    const error = await watchWorker(client, workerId, onStatus, onBreak, over.signal);
    if (over.signal.aborted) return;
    // The pool stops granting this worker at once, because a restarting Docker engine may report its exit
    // late.
    ending.resolve(error ? "does not answer" : "is ending");
    if (!error) return;
    ready.reject(fromGrpcError(error, "worker"));
    // A worker whose processes hang does not answer pings, which breaks its stream. It is replaced like a
    // worker that died.
    log.warn({ ...about, err: error }, "worker does not answer; it is replaced");
    await process.stop().catch(() => undefined);
  };
  const boot = async () => {
    await connected(client);
    if (first) await provision(first);
    void watch();
    return await ready.promise;
  };
  try {
    const posture = await givenUpAfter(Promise.race([boot(), process.gone.then(goneTooEarly)]), signal);
    refuseMissingLayers(project, posture.layers);
    if (needsNetworkNamespace) refuseOpenNetwork(project, posture.layers);
    return {
      id: workerId,
      address: process.address,
      posture,
      attachableRuns,
      secretsVersion: () => provisioned?.request.secretsVersion ?? "",
      network: () => provisioned?.request.network ?? false,
      refresh: async () => provision(await provide()),
      retiring: retiring.promise,
      ending: ending.promise,
      gone: process.gone.then((how) => {
        client.close();
        return how;
      }),
      stop: () => process.stop(),
    };
  } catch (error) {
    over.abort();
    client.close();
    await process.stop().catch(() => undefined);
    throw startFailed(error);
  }
}

function connected(client: WorkerServiceClient): Promise<void> {
  return ready(client, CONNECT_TIMEOUT_MS).catch((cause: unknown) => {
    const seconds = CONNECT_TIMEOUT_MS / 1_000;
    throw new TransientFailure(`The worker could not be reached within ${seconds} seconds.`, { cause });
  });
}

const GVISOR = "gvisor_kernel";
const NETWORK_NAMESPACE = "network_namespace";
// Layers that gVisor's kernel does not have. Landlock would only repeat the file rules of the sandbox's own
// tree. The limits of the container replace those of the cgroup.
const NOT_IN_GVISOR: ReadonlySet<string> = new Set(["landlock", "cgroup"]);

/** Whether the worker measured that it runs on gVisor's kernel. */
export function isGvisor(layers: readonly IsolationLayer[]): boolean {
  return layers.some(({ name, inForce }) => name === GVISOR && inForce);
}

/** The layers that this isolation demands and that are not in force. */
export function missingLayers(
  isolation: Project["isolation"],
  layers: readonly IsolationLayer[],
): readonly IsolationLayer[] {
  return layers.filter(
    ({ name, inForce }) => !inForce && !(isolation === "gvisor" && NOT_IN_GVISOR.has(name)),
  );
}

function refuseMissingLayers({ isolation }: Project, layers: readonly IsolationLayer[]): void {
  if (isolation === "standard") return;
  if (isolation === "gvisor" && !isGvisor(layers)) {
    throw new AirlockError(
      "start_failed",
      "isolation: gvisor needs gVisor's kernel, but the worker runs on another kernel. The operator names a runtime that is gVisor in the project file, such as runtime: runsc.",
    );
  }
  const missing = missingLayers(isolation, layers);
  if (missing.length === 0) return;
  const list = missing.map((layer) => `${layer.name} (${layer.detail})`).join(", ");
  throw new AirlockError(
    "start_failed",
    `isolation: ${isolation} needs layers that are not in force here: ${list}`,
  );
}

/**
 * Refuses a project with a network where its runs have no network namespace: nothing would keep its scripts to
 * the hosts that the project lists, and the REST API on this machine demands no credential.
 */
function refuseOpenNetwork({ name, network }: Project, layers: readonly IsolationLayer[]): void {
  const layer = layers.find((each) => each.name === NETWORK_NAMESPACE);
  if (network.allowlist.length === 0 || layer?.inForce) return;
  throw new AirlockError(
    "start_failed",
    `Project ${name} may use a network, and this machine gives its runs no network namespace (${layer?.detail || "not measured"}): its scripts would reach every address, and Airlock's REST API without a credential. The operator sets AIRLOCK_AUTH=required, takes the docker driver, or runs Airlock on a machine with network namespaces.`,
  );
}

function goneTooEarly(how: string): never {
  throw new TransientFailure(`The worker ${how} before it was ready.`);
}

/** Settles like `work`, unless `signal` aborts or the worker is not ready within `READY_TIMEOUT_MS`. */
async function givenUpAfter<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(READY_TIMEOUT_MS)]);
  const over = Promise.withResolvers<never>();
  const giveUp = () =>
    over.reject(
      signal.aborted
        ? new AirlockError("cancelled", "The pool is stopping.")
        : new AirlockError(
            "start_failed",
            `The worker was not ready within ${READY_TIMEOUT_MS / 1_000} seconds.`,
          ),
    );
  limit.addEventListener("abort", giveUp, { once: true });
  if (limit.aborted) giveUp();
  return await Promise.race([work, over.promise]).finally(() => limit.removeEventListener("abort", giveUp));
}

function startFailed(error: unknown): AirlockError {
  const known = asAirlockError(error);
  // A shortage on this machine keeps its code `unavailable`, because a router then waits until it is over.
  if (known.code === "start_failed" || isShortage(error)) return known;
  const message = `A worker could not be started: ${known.message}`;
  return ERROR_RULES[known.code].retryAfterSeconds !== undefined
    ? new TransientFailure(message, { cause: error })
    : new AirlockError("start_failed", message, { cause: error });
}
