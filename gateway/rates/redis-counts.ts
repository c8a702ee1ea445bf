import { createHash } from "node:crypto";
import { once } from "node:events";
import { Redis } from "ioredis";
import { RateLimiterRedis } from "rate-limiter-flexible";
import { AirlockError } from "#common/errors.ts";
import type { Secret } from "#common/secret.ts";
import type { Count, Counted } from "../backends/authority.ts";
import type { CountStore } from "./count-store.ts";

// Milliseconds after which a connection on which Redis does not answer is given up.
const ANSWER_MS = 2_000;
const CONNECT_MS = 2_000;
// Milliseconds for which the gateway's start waits for Redis, so that its first requests are counted there.
const START_MS = 500;
// Milliseconds before the first attempt to connect again; doubled before each further one.
const RECONNECT_MS = 100;
const MAX_RECONNECT_MS = 2_000;
// No counter reaches this number: the gateway decides what is too much.
const NO_LIMIT = 2 ** 40;
const PREFIX = "airlock:requests";

/**
 * Counters in Redis. The connection is made anew when it breaks; while there is none, `add` rejects at once and
 * nothing is queued. Resolves when Redis answers, or after half a second. The URL's password is in no message.
 */
export async function redisCounts(url: Secret): Promise<CountStore> {
  const redis = new Redis(url.reveal(), {
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_MS,
    commandTimeout: ANSWER_MS,
    retryStrategy: (attempts) =>
      Math.min(MAX_RECONNECT_MS, RECONNECT_MS * 2 ** Math.min(attempts, 10)) * (0.75 + Math.random() / 4),
  });
  // Why there is no connection, such as a wrong password; each call reports it.
  let broken: Error | undefined;
  redis.on("error", (error) => {
    broken = error;
  });
  redis.on("ready", () => {
    broken = undefined;
  });
  const started = AbortSignal.timeout(START_MS);
  await once(redis, "ready", { signal: started }).catch(() => undefined);
  const limiters = new Map<number, RateLimiterRedis>();
  const limiterFor = (windowMs: number): RateLimiterRedis => {
    const known = limiters.get(windowMs);
    if (known) return known;
    const limiter = new RateLimiterRedis({
      storeClient: redis,
      keyPrefix: PREFIX,
      points: NO_LIMIT,
      duration: Math.ceil(windowMs / 1_000),
      rejectIfRedisNotReady: true,
    });
    limiters.set(windowMs, limiter);
    return limiter;
  };

  const addOne = async ({ counter, requests, windowMs }: Count): Promise<Counted> => {
    const limiter = limiterFor(windowMs);
    const key = keyOf(counter);
    const counted = requests === 0 ? await limiter.get(key) : await limiter.penalty(key, requests);
    if (!counted) return { requests: 0, endsInMs: windowMs };
    // Redis forgets a counter by the clock of its machine, which may have been set back. The counter would last
    // for hours.
    if (counted.msBeforeNext > windowMs + 1_000) {
      await limiter.delete(key);
      return { requests: Math.max(0, requests), endsInMs: windowMs };
    }
    return { requests: counted.consumedPoints, endsInMs: Math.max(0, counted.msBeforeNext) };
  };

  return {
    name: "redis",
    async add(counts) {
      try {
        if (redis.status !== "ready") throw broken ?? new Error(`the connection is ${redis.status}`);
        if (counts.length === 0) await redis.ping();
        return { counts: await Promise.all(counts.map(addOne)) };
      } catch (error) {
        // A Redis that does not answer may still have commands of this connection to answer.
        if (redis.status === "ready") redis.disconnect(true);
        throw new AirlockError("unavailable", `Redis does not answer (${reasonOf(error)}).`, {
          cause: error,
        });
      }
    },
    close: () => redis.disconnect(),
  };
}

/** The key in Redis, which holds no id and no address. */
function keyOf(counter: string): string {
  return createHash("sha256").update(counter).digest("base64url").slice(0, 27);
}

/** A word for the log. The text of an error is left out, because it could hold a part of the URL. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return "unknown";
  const { code } = error as NodeJS.ErrnoException;
  if (code !== undefined) return code;
  if (/^the connection is [a-z]+$/.test(error.message)) return error.message;
  return /^[A-Z]{4,12} /.exec(error.message)?.[0].trim() ?? error.name;
}
