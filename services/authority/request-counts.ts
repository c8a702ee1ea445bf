import type { Clock } from "#common/resilience/clock.ts";
import type { CountedRequests, RequestCount } from "#proto/authority.ts";

// Most counters that are kept; at one more, the counter that began first is forgotten, so that requests from
// very many addresses take no more memory than this. A counter takes about 400 bytes.
const MAX_COUNTERS = 50_000;
// A gateway whose counter ends so many milliseconds earlier speaks of the one before.
const ENDED_EARLIER_MS = 1_000;
// Milliseconds without a call after which a gateway counts as gone; each calls every second.
const GONE_AFTER_MS = 10_000;

type Counter = {
  readonly endsAtMs: number;
  /** The requests that each gateway has counted. */
  readonly byGateway: Map<string, number>;
};

export type RequestCounts = {
  /** Notes that the gateway calls; returns how many gateways have called within the last seconds. */
  gateways(gateway: string): number;
  /** Adds the requests of a gateway to their counter, and says what it then stands at. */
  add(gateway: string, count: RequestCount): CountedRequests;
};

/**
 * The counters of requests that all gateways share. They are kept in memory only: each gateway tells all that it
 * has counted each time, so that an authority that has just started, or another one, goes on from there.
 */
export function createRequestCounts(clock: Clock, maxCounters = MAX_COUNTERS): RequestCounts {
  // In the order of their beginning, because a counter that begins anew is put at the end.
  const counters = new Map<string, Counter>();
  const seenAtMs = new Map<string, number>();

  const begin = (name: string, endsAtMs: number): Counter => {
    counters.delete(name);
    const [oldest] = counters.size >= maxCounters ? counters.keys() : [];
    if (oldest !== undefined) counters.delete(oldest);
    const begun = { endsAtMs, byGateway: new Map() };
    counters.set(name, begun);
    return begun;
  };

  return {
    gateways(gateway) {
      const nowMs = clock.monotonicMs();
      seenAtMs.set(gateway, nowMs);
      for (const [name, atMs] of seenAtMs) if (nowMs - atMs > GONE_AFTER_MS) seenAtMs.delete(name);
      return seenAtMs.size;
    },
    add(gateway, { counter: name, requests, windowMs, ownRequests, knownRequests, knownEndsInMs }) {
      const nowMs = clock.monotonicMs();
      const gatewaysEndMs = nowMs + Math.min(knownEndsInMs, windowMs);
      const known = counters.get(name);
      const lasts = known !== undefined && known.endsAtMs > nowMs;
      // A counter that is only read does not begin.
      if (!lasts && ownRequests <= 0 && knownRequests === 0) return { requests: 0, endsInMs: windowMs };
      const counter = lasts ? known : begin(name, gatewaysEndMs > nowMs ? gatewaysEndMs : nowMs + windowMs);
      const { byGateway, endsAtMs } = counter;
      const isOfEarlier = gatewaysEndMs < endsAtMs - ENDED_EARLIER_MS;
      const own = isOfEarlier ? (byGateway.get(gateway) ?? 0) + requests : ownRequests;
      byGateway.set(gateway, Math.max(0, own));
      const sum = [...byGateway.values()].reduce((total, each) => total + each, 0);
      const least = isOfEarlier ? 0 : knownRequests + requests;
      return { requests: Math.max(sum, least), endsInMs: endsAtMs - nowMs };
    },
  };
}
