import type { FastifyInstance, FastifyRequest } from "fastify";
import { AirlockError, hasCode } from "#common/errors.ts";
import { RATE_WINDOW_MS, READS_PER_CHANGE } from "#common/identity/rate-limits.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Authenticated } from "../backends/authority.ts";
import { clientNetwork } from "../rates/client-address.ts";
import type { Limit, RatesConfig } from "../rates/config.ts";
import type { CounterKind, Counters, Standing } from "../rates/counters.ts";

/** Whose requests are counted, and how many changes a minute that one may send. */
type Client = Pick<Authenticated, "principal" | "rate">;
/** What a request counts as. `nothing`: probes of other machines must not be refused. */
export type CountedAs = "change" | "read" | "nothing";
type Policy = "change" | "read" | "execute";
type Applied = Standing & { readonly policy: Policy; readonly limit: Limit };

/** What is left of a principal's changes, as GET /me shows it. */
export type RateLeft = { readonly limit: number; readonly remaining: number; readonly reset: number };

declare module "fastify" {
  interface FastifyRequest {
    /** The limits that the request was counted in, for the fields of its answer. */
    rateLimits: readonly Applied[] | null;
  }
  interface FastifyContextConfig {
    /** What a request counts as; a change unless its method is GET or HEAD. */
    countedAs?: CountedAs;
  }
}

export type RequestRates = {
  /**
   * Counts a request of this client. Rejects with `rate_limited` when it is one too many. `isGuess`: it showed a
   * credential that opens nothing, and is counted even where other requests count as nothing, as a read.
   */
  count(request: FastifyRequest, access: Client, shown: { readonly isGuess: boolean }): Promise<void>;
  /**
   * Counts an execution that the client starts in the project, and calls `start`. Takes it back when `start` says,
   * or fails in a way that shows, that no execution was started.
   */
  countStart<Started extends { readonly replayed: boolean }>(
    request: FastifyRequest,
    project: string,
    start: () => Promise<Started>,
  ): Promise<Started>;
  /** What is left of the client's changes. */
  left(access: Client): Promise<RateLeft>;
};

const PROJECT_NAME = /^[a-z0-9-]{1,63}$/;
// Errors that do not say whether the execution was started.
const UNCLEAR = ["unavailable", "deadline_exceeded", "internal"] as const;

/** Counts requests of principals and, without a credential, of addresses. */
export function createRequestRates(
  { byRole, executions, trustedProxies }: RatesConfig,
  counters: Counters,
  clock: Clock,
): RequestRates {
  const changesOf = ({ principal, rate }: Client) => rate ?? byRole[principal.role];
  const limitOf = (access: Client, policy: "change" | "read"): Limit => ({
    requests: changesOf(access) * (policy === "read" ? READS_PER_CHANGE : 1),
    windowMs: RATE_WINDOW_MS,
  });
  const nameOf = ({ principal: { id, tenant } }: Client, ...rest: string[]) =>
    JSON.stringify([...rest, tenant, id]);

  return {
    async count(request, access, { isGuess }) {
      const routePolicy = countedAs(request);
      if (routePolicy === "nothing" && !isGuess) return;
      const policy = routePolicy === "nothing" ? "read" : routePolicy;
      const isOfAddress = access.principal.role === "anonymous";
      const who = isOfAddress ? [clientNetwork(request.raw, trustedProxies)] : [];
      const counter = { name: nameOf(access, policy, ...who), windowMs: RATE_WINDOW_MS, isOfAddress };
      // Reads are many and cheap, so they do not wait for the counters of other gateways.
      const standing = policy === "read" ? counters.countSoon(counter) : await counters.count(counter, 1);
      apply(request, { ...standing, policy, limit: limitOf(access, policy) }, clock, isOfAddress);
    },

    async countStart(request, project, start) {
      // The router refuses a project of another name, and a long one must not be kept in memory.
      if (!executions || !PROJECT_NAME.test(project)) return await start();
      const { windowMs } = executions;
      const counter: CounterKind = {
        name: nameOf(request.access, "execute", project),
        windowMs,
        mayShrink: true,
      };
      const standing = await counters.count(counter, 1);
      const takeBack = () => counters.count(counter, -1);
      try {
        apply(request, { ...standing, policy: "execute", limit: executions }, clock);
        const started = await start();
        if (started.replayed) await takeBack();
        return started;
      } catch (error) {
        if (!UNCLEAR.some((code) => hasCode(error, code))) await takeBack();
        throw error;
      }
    },

    async left(access) {
      const limit = limitOf(access, "change");
      const counter = { name: nameOf(access, "change"), windowMs: limit.windowMs };
      const standing = await counters.count(counter, 0);
      return {
        limit: limit.requests,
        remaining: remainingOf(standing, limit),
        reset: secondsUntil(standing.endsAtMs, clock),
      };
    },
  };
}

/** Adds the fields RateLimit-Policy and RateLimit to every answer to a request that was counted. */
export function showRateLimits(app: FastifyInstance, clock: Clock): void {
  app.decorateRequest("rateLimits", null);
  app.addHook("onSend", async ({ rateLimits }, reply) => {
    if (!rateLimits) return;
    // Fields of draft-ietf-httpapi-ratelimit-headers: the limit (q) in w seconds; r are left, and all again in t.
    reply.header(
      "ratelimit-policy",
      rateLimits
        .map(({ policy, limit }) => `"${policy}";q=${limit.requests};w=${limit.windowMs / 1_000}`)
        .join(", "),
    );
    reply.header(
      "ratelimit",
      rateLimits
        .map(
          (each) =>
            `"${each.policy}";r=${remainingOf(each, each.limit)};t=${secondsUntil(each.endsAtMs, clock)}`,
        )
        .join(", "),
    );
  });
}

function countedAs({ method, routeOptions }: FastifyRequest): CountedAs {
  const isRead = method === "GET" || method === "HEAD";
  return routeOptions.config.countedAs ?? (isRead ? "read" : "change");
}

/**
 * Notes the limit for the answer. Throws `rate_limited` when it is exceeded. `isOfAddress`: the client has shown no
 * valid credential.
 */
function apply(request: FastifyRequest, applied: Applied, clock: Clock, isOfAddress = false): void {
  request.rateLimits = [...(request.rateLimits ?? []), applied];
  const { requests, limit, policy, endsAtMs } = applied;
  if (requests <= limit.requests) return;
  const retryAfterSeconds = Math.max(1, secondsUntil(endsAtMs, clock));
  const what = {
    change: "requests that change something",
    read: "requests that read",
    execute: "executions in this project",
  };
  const unit = limit.windowMs === RATE_WINDOW_MS ? "a minute" : `${limit.windowMs / 1_000} s`;
  const who = isOfAddress
    ? "Clients at your address have sent, without a valid credential,"
    : "You have sent";
  const next = isOfAddress ? " With one, the limit of its role counts." : "";
  throw new AirlockError(
    "rate_limited",
    `${who} more than ${limit.requests} ${what[policy]} in ${unit}. Send the request again in ${retryAfterSeconds} s.${next}`,
    { retryAfterSeconds },
  );
}

function remainingOf({ requests }: Standing, limit: Limit): number {
  return Math.max(0, limit.requests - requests);
}

function secondsUntil(endsAtMs: number, clock: Clock): number {
  return Math.max(0, Math.ceil((endsAtMs - clock.monotonicMs()) / 1_000));
}
