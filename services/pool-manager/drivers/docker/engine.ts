import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import Docker from "dockerode";
import { AirlockError, asAirlockError } from "#common/errors.ts";
import { systemReason } from "#common/system-reason.ts";
import type { Dependency } from "#proto/readiness.ts";
import { TransientFailure } from "../transient-failure.ts";

const TIMEOUT_MS = 60_000;
// Milliseconds for the ping of a readiness check; less than the two seconds that the check as a whole may
// take.
const HEALTH_TIMEOUT_MS = 1_000;

export const DISK_IS_FULL = "The disk of the Docker engine is full; the operator makes room there.";

/** Whether a message of the engine or of a build step comes from a full disk. */
export function saysDiskIsFull(words: string): boolean {
  return /no space left on device/i.test(words);
}

/** Makes a client of the Docker engine that DOCKER_HOST names, by default of the engine on this machine. */
export function openEngine(): Docker {
  return new Docker();
}

/**
 * Makes one call to the engine, which is given up after `timeoutMs` (60 s unless given). Rejects with
 * `start_failed`, and a message for the operator when the cause is known. A TransientFailure means that
 * another attempt may succeed without any change. The engine's own message is in the error's logDetail.
 * Usage: `ask((abortSignal) => container.inspect({ abortSignal }))`; not every call of dockerode takes the
 * signal.
 */
export async function ask<T>(
  call: (abortSignal: AbortSignal) => Promise<T>,
  timeoutMs = TIMEOUT_MS,
): Promise<T> {
  const deadline = AbortSignal.timeout(timeoutMs);
  const { promise: late, reject } = Promise.withResolvers<never>();
  const giveUp = () => reject(deadline.reason);
  deadline.addEventListener("abort", giveUp);
  try {
    return await Promise.race([call(deadline), late]);
  } catch (error) {
    throw engineError(error, deadline.aborted);
  } finally {
    deadline.removeEventListener("abort", giveUp);
  }
}

/**
 * Resolves when the container is in the state of `condition`. Rejects when the engine goes away meanwhile.
 * dockerode's own `wait` does not notice that the engine goes away, because the engine begins its response at
 * once and completes it when the state is reached.
 */
export async function waitUntil(
  { id, modem }: Docker.Container,
  condition: "not-running" | "removed",
  abortSignal: AbortSignal,
): Promise<void> {
  const statusCodes = { 200: true, 404: "no such container", 500: "server error" };
  const path = `/containers/${id}/wait?`;
  const call = { path, method: "POST", options: { condition }, isStream: true, statusCodes, abortSignal };
  const answer = await new Promise<Readable>((resolve, reject) => {
    modem.dial(call, (error: unknown, stream: Readable) => (error ? reject(error) : resolve(stream)));
  });
  const { StatusCode, Error: problem } = JSON.parse(await text(answer)) as WaitAnswer;
  if (StatusCode === undefined || problem?.Message) throw new Error(problem?.Message ?? "it did not say how");
}

type WaitAnswer = { readonly StatusCode?: number; readonly Error?: { readonly Message?: string } | null };

/** The HTTP status with which the engine refused; undefined when the engine was not reached. */
export function refusedWith(error: unknown): number | undefined {
  const cause = error instanceof AirlockError ? error.cause : error;
  return (cause as { statusCode?: number } | undefined)?.statusCode;
}

/**
 * Settles like `call`, but resolves to undefined when the engine says that the container, image, network or
 * volume does not exist (404).
 */
export async function unlessGone<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (refusedWith(error) === 404) return undefined;
    throw error;
  }
}

/**
 * Converts an error of the engine, or of the connection to it, to an AirlockError with a message for the
 * operator. `timedOut`: whether the deadline of the call had passed.
 */
export function engineError(error: unknown, timedOut = false): AirlockError {
  if (error instanceof AirlockError) return error;
  const known = error as {
    code?: string;
    statusCode?: number;
    message?: string;
    json?: { message?: string };
  };
  const logDetail = known.json?.message ?? known.message ?? String(error);
  const options = { logDetail, cause: error };
  const definite = definiteReason(known.code, logDetail);
  if (definite) return new AirlockError("start_failed", definite, options);
  if (timedOut) return new TransientFailure("The Docker engine did not answer in time.", options);
  if (known.code !== undefined) {
    return new TransientFailure(
      `The Docker engine cannot be reached (${systemReason(error)}); the operator starts it, or names another in DOCKER_HOST.`,
      options,
    );
  }
  const refused = "The Docker engine refused the request; the operator finds the reason in the log.";
  // A 4xx status means that the request itself is wrong, so another attempt would fail too.
  return known.statusCode !== undefined && known.statusCode < 500
    ? new AirlockError("start_failed", refused, options)
    : new TransientFailure(refused, options);
}

/**
 * The message for a cause that the operator has to remove before another attempt; undefined for other causes.
 */
function definiteReason(code: string | undefined, detail: string): string | undefined {
  if (code === "EACCES" || code === "EPERM") {
    return "Airlock may not use the Docker engine: the operator gives its user access to the engine's socket (usually the group docker).";
  }
  if (saysDiskIsFull(detail)) return DISK_IS_FULL;
  if (/non-overlapping IPv4 address pool|predefined address pools/i.test(detail)) {
    return "The Docker engine has no addresses left for another network; the operator removes unused networks or widens default-address-pools.";
  }
  const runtime = /unknown or invalid runtime name: (\S+)/i.exec(detail)?.[1];
  return runtime && `The Docker engine knows no runtime "${runtime}".`;
}

/** Whether the Docker engine answers, as an entry of the readiness response. Does not reject. */
export async function engineHealth(docker: Docker): Promise<Dependency> {
  try {
    await ask(() => docker.ping(), HEALTH_TIMEOUT_MS);
    return { name: "docker", ready: true, detail: "" };
  } catch (error) {
    return { name: "docker", ready: false, detail: asAirlockError(error).message };
  }
}
