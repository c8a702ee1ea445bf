import { PassThrough } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import type Docker from "dockerode";
import { systemClock } from "#common/resilience/clock.ts";
import { every, retry } from "#common/resilience/retry.ts";
import type { Log } from "#common/service/log.ts";
import type { WorkerProcess } from "../driver.ts";
import { relayWorkerLog } from "../worker-log.ts";
import { WORKER_PORT } from "./container.ts";
import { ask, engineError, refusedWith, unlessGone, waitUntil } from "./engine.ts";

/** The certificates by which a worker and its callers recognize each other, as PEM texts. */
export type WorkerCertificates = { readonly ca: string; readonly cert: string; readonly key: string };

const STOP_GRACE_S = 5;
const HAND_OVER_TIMEOUT_MS = 10_000;
// Milliseconds of one wait for the end of a container. The wait then begins anew, so that an engine that died
// silently is noticed.
const WAIT_MS = 60_000;
const ASK_AGAIN_MS = 500;
// Attempts, half a second apart, to remove the container of a worker that is stopped: ten seconds in all,
// because an operator who stops Airlock waits for them, and the next start removes the rest.
const STOP_ATTEMPTS = 20;
// Attempts, half a second apart, when no caller waits for the removal: ten minutes in all.
const REMOVE_ATTEMPTS = 1_200;
// Milliseconds after which a create request that the engine did not answer, because it was away, has either
// happened or failed.
const UNANSWERED_MS = 10_000;

/**
 * Gives a running worker its TLS certificates on standard input, so that nothing that the engine shows about
 * the container (arguments, environment) contains them. Rejects with `start_failed`, after 10 s at the
 * latest.
 */
export async function handOver(container: Docker.Container, certificates: WorkerCertificates): Promise<void> {
  const abortSignal = AbortSignal.timeout(HAND_OVER_TIMEOUT_MS);
  try {
    const stream = await container.attach({ stream: true, stdin: true, hijack: true, abortSignal });
    await new Promise<void>((resolve, reject) => {
      stream.once("error", reject);
      stream.once("close", resolve);
      abortSignal.addEventListener("abort", () => reject(abortSignal.reason), { once: true });
      stream.resume();
      stream.end(`${JSON.stringify(certificates)}\n`);
    });
  } catch (error) {
    throw engineError(error, abortSignal.aborted);
  }
}

export type ContainerProcess = WorkerProcess & {
  /**
   * Resolves when nothing of the container is left, or after the last attempt to remove it. Never rejects.
   */
  readonly removed: Promise<void>;
};

/**
 * Watches the container of a running worker and passes its log on. When the container has ended, what is left
 * of it is removed. Rejects when the engine cannot inspect the container.
 */
export async function superviseContainer(
  docker: Docker,
  container: Docker.Container,
  network: string,
  log: Log,
): Promise<ContainerProcess> {
  const { NetworkSettings } = await ask((abortSignal) => container.inspect({ abortSignal }));
  const ip = NetworkSettings.Networks[network]?.IPAddress;
  let ended = false;
  followLog(docker, container, log, () => ended);
  const gone = untilEnded(container).finally(() => {
    ended = true;
  });
  const removed = gone
    .then(() => removeRepeatedly(container))
    .catch((error: unknown) => reportLeftover(log, error));
  let stopping: Promise<void> | undefined;
  return {
    address: `${ip}:${WORKER_PORT}`,
    gone,
    removed,
    stop: () => {
      stopping ??= stopAndRemove(container, log);
      return stopping;
    },
  };
}

/**
 * Resolves when the container has ended, to the end of a sentence such as "was removed". Survives restarts of
 * the engine.
 */
async function untilEnded(container: Docker.Container): Promise<string> {
  for (;;) {
    try {
      await ask((abortSignal) => waitUntil(container, "not-running", abortSignal), WAIT_MS);
      const info = await unlessGone(ask((abortSignal) => container.inspect({ abortSignal })));
      if (!info) return "was removed";
      if (!info.State.Running) return sentenceFor(info);
    } catch (error) {
      if (refusedWith(error) === 404) return "was removed";
    }
    await delay(ASK_AGAIN_MS);
  }
}

function sentenceFor({ State, HostConfig }: Docker.ContainerInspectInfo): string {
  if (State.OOMKilled) {
    const mib = Math.round((HostConfig.Memory ?? 0) / 1024 / 1024);
    return `ran out of memory (its container may use ${mib} MiB)`;
  }
  return `exited with status ${State.ExitCode}`;
}

async function stopAndRemove(container: Docker.Container, log: Log): Promise<void> {
  const abortSignal = AbortSignal.timeout(STOP_GRACE_S * 4_000);
  // A failure is ignored here, because a container that does not stop is killed when it is removed.
  await container.stop({ t: STOP_GRACE_S, abortSignal }).catch(() => undefined);
  try {
    await removeRepeatedly(container, STOP_ATTEMPTS);
  } catch (error) {
    // The removal goes on in the background, because the container may go on running while the engine is
    // away, and no later call would end it.
    removeRepeatedly(container).catch((reason: unknown) => reportLeftover(log, reason));
    throw error;
  }
}

/**
 * Removes a container whose start failed, now or as soon as the engine allows it. `discarded` settles when
 * nothing of the container is left. `isAnswered` is false when the engine has not answered the create
 * request, so that it may still make the container.
 */
export async function discard(
  container: Docker.Container,
  isAnswered: boolean,
  log: Log,
): Promise<{ discarded: Promise<void> }> {
  const atOnce = await removeContainer(container).then(
    () => true,
    () => false,
  );
  const later = async () => {
    if (!atOnce) await removeRepeatedly(container);
    if (isAnswered) return;
    await delay(UNANSWERED_MS);
    await removeRepeatedly(container);
  };
  return { discarded: later().catch((error: unknown) => reportLeftover(log, error)) };
}

function reportLeftover(log: Log, error: unknown): void {
  log.error({ err: error }, "the container of a worker could not be removed");
}

/**
 * Repeats the removal every half second until it succeeds, because the engine may be restarting. Rejects
 * after the last of `attempts`.
 */
async function removeRepeatedly(container: Docker.Container, attempts = REMOVE_ATTEMPTS): Promise<void> {
  const mayRetry = (_error: unknown, attempt: number) => attempt < attempts;
  await retry(() => removeContainer(container), {
    mayRetry,
    delayMs: every(ASK_AGAIN_MS),
    clock: systemClock,
  });
}

/**
 * Removes a container and its anonymous volumes, whether it runs or not. When another call is removing the
 * container already, waits until it is gone.
 */
export async function removeContainer(container: Docker.Container): Promise<void> {
  try {
    await ask((abortSignal) => container.remove({ force: true, v: true, abortSignal }));
  } catch (error) {
    if (refusedWith(error) === 409) await untilRemoved(container);
    else if (refusedWith(error) !== 404) throw error;
  }
}

async function untilRemoved(container: Docker.Container): Promise<void> {
  await unlessGone(ask((abortSignal) => waitUntil(container, "removed", abortSignal), WAIT_MS));
}

/**
 * Passes the worker's log (its standard error) on to `log` until `ended` returns true. After a restart of the
 * engine the container may still run, so its log is then followed anew.
 */
function followLog(docker: Docker, container: Docker.Container, log: Log, ended: () => boolean): void {
  const lines = new PassThrough();
  relayWorkerLog(lines, log);
  const follow = async () => {
    let since = 0;
    while (!ended()) {
      try {
        const stream = await container.logs({ follow: true, stderr: true, stdout: false, since });
        since = Math.floor(Date.now() / 1_000);
        docker.modem.demuxStream(stream, lines, lines);
        await new Promise((resolve) => stream.once("close", resolve).once("error", resolve));
      } catch (error) {
        if (refusedWith(error) !== undefined) break;
      }
      if (!ended()) await delay(ASK_AGAIN_MS);
    }
    lines.end();
  };
  void follow();
}
