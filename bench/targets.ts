import type { Bound } from "./bound.ts";
import { type Plan, TARGET_CLIENTS } from "./plan.ts";
import { poolNames } from "./pool.ts";
import { COST, REQUIRED } from "./rows/identity.ts";
import { pausedName } from "./rows/paused.ts";

/** The speed targets that Airlock promises. */
export function targetsOf(plan: Plan): Bound[] {
  const embedded = poolNames("embedded", "pandas").where;
  const stored = `${plan.storedExecutions.toLocaleString("en")} stored`;
  // At most 1,000 paused executions, because more may not fit into a machine's memory.
  const many = plan.pausedCounts.findLast((count) => count <= 1_000) ?? 0;
  return [
    {
      says: "REST, submit to result seen, pandas imported: p50 at most 3 × fork",
      ...{ row: "latency", subject: `${embedded}: REST, wait`, metric: "p50", of: "ratio", atMost: 3 },
    },
    {
      says: "the same at most 1/40 of docker run",
      ...{ row: "latency", subject: `docker run ÷ ${embedded}: REST, wait`, metric: "p50" },
      ...{ of: "median", atLeast: 40 },
    },
    {
      says: "50 at once: p95 at most 3 × (50 × fork ÷ cores)",
      ...{ row: "burst", subject: embedded, metric: "p95", of: "ratio", atMost: 3 },
    },
    {
      says: `${TARGET_CLIENTS} clients: at least half the rate of forks on all cores`,
      ...{ row: "throughput", subject: `embedded, ${TARGET_CLIENTS} clients`, metric: "rate" },
      ...{ of: "ratio", atLeast: 0.5 },
    },
    ...(["plain", "pandas"] as const)
      .filter((kind) => kind === "plain" || plan.pandasInContainers)
      .map((kind): Bound => {
        const { where, floor } = poolNames("runsc", kind);
        return {
          says: `gVisor: p50 at most 2 × ${floor}`,
          ...{ row: "latency", subject: `${where}: REST, wait`, metric: "p50", of: "ratio", atMost: 2 },
        };
      }),
    {
      says: "an API key: at most 5 % of p50",
      ...{ row: "identity", subject: REQUIRED, metric: "p50", of: "ratio", atMost: 1.05 },
    },
    {
      says: "an API key: at most 0.1 × a fork's CPU",
      ...{ row: "identity", subject: COST, metric: "cpu", of: "median", atMost: 0.1 },
    },
    {
      says: "a paused execution: at most 3 MB private",
      ...{ row: "paused", subject: pausedName(many), metric: "private, each", of: "median", atMost: 3 },
    },
    {
      says: "start to first health: at most 0.5 s",
      ...{ row: "start", subject: "embedded", metric: "health", of: "median", atMost: 500 },
    },
    {
      says: "resident without workers: at most 250 MB",
      ...{ row: "memory", subject: "embedded: all services", metric: "resident", of: "median", atMost: 250 },
    },
    {
      says: "sanitizer, 100 secrets: at least 250 MB per CPU second",
      ...{ row: "sanitizer", subject: "100 secrets", metric: "rate", of: "median", atLeast: 250 },
    },
    {
      says: "sanitizer, 1 to 1,000 secrets: flat within 2 ×",
      ...{ row: "sanitizer", subject: "fastest ÷ slowest, 1 to 1,000 secrets", metric: "rate" },
      ...{ of: "median", atMost: 2 },
    },
    {
      says: `${stored}: polls at most 1.5 × those of an empty store`,
      ...{ row: "stored", subject: stored, metric: "p50", of: "ratio", atMost: 1.5 },
    },
  ];
}
