import { systemClock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import type { AuthorityBackend } from "../backends/authority.ts";
import { authorityCounts } from "./authority-counts.ts";
import type { RatesConfig } from "./config.ts";
import { type Counters, createCounters } from "./counters.ts";
import { firstAnswering } from "./first-answering.ts";

/**
 * Counters that all gateways share, in Redis if there is one, and otherwise, or while that does not answer, in
 * the authority.
 */
export async function openCounters(
  { redisUrl }: RatesConfig,
  authority: Pick<AuthorityBackend, "countRequests">,
  log: Log,
): Promise<Counters> {
  // Loaded only where there is a Redis, because its client takes as long to load as a service.
  const redis = redisUrl && (await (await import("./redis-counts.ts")).redisCounts(redisUrl));
  const stores = [...(redis ? [redis] : []), authorityCounts(authority)];
  const counters = createCounters(firstAnswering(stores, systemClock, log), systemClock);
  await counters.announce();
  return counters;
}
