import { isIP } from "node:net";
import { Counter, Registry } from "prom-client";
import type { Log } from "../common/log.ts";
import { allows, describeAllowedHost } from "../common/project-network.ts";
import type { Target } from "./destination.ts";
import type { Verdict } from "./refusal.ts";
import type { Route } from "./routes.ts";

/** Counts and logs every attempt to reach the network. */
export type Attempts = {
  readonly registry: Registry;
  note(route: Route | undefined, target: Target | undefined, verdict: Verdict, cause?: unknown): void;
  /** Takes the bytes of a route that closes into the counters. */
  close(route: Route): void;
};

const SHOWN_CHARACTERS = 5;

export function createAttempts(log: Log): Attempts {
  const registry = new Registry();
  const attempts = new Counter({
    name: "airlock_egress_attempts_total",
    help: "Attempts of scripts to reach the network.",
    labelNames: ["project", "verdict"],
    registers: [registry],
  });
  const bytes = new Counter({
    name: "airlock_egress_bytes_total",
    help: "Bytes that scripts moved through the egress service.",
    labelNames: ["project", "direction"],
    registers: [registry],
  });
  return {
    registry,
    note(route, target, verdict, cause) {
      const project = route?.project ?? "";
      attempts.inc({ project, verdict });
      const facts = {
        project,
        executionId: route?.executionId,
        host: target && loggable(route, target),
        port: target?.port,
        verdict,
        cause: cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? cause.name) : undefined,
      };
      if (verdict === "allowed") log.info(facts, "egress attempt");
      else log.warn(facts, "egress attempt");
    },
    close({ project, executionId, traffic }) {
      const { in: bytesIn, out: bytesOut } = traffic.bytes;
      bytes.inc({ project, direction: "in" }, bytesIn);
      bytes.inc({ project, direction: "out" }, bytesOut);
      log.debug({ project, executionId, bytesIn, bytesOut }, "route closed");
    },
  };
}

/**
 * A script may try a host name that is made of a secret, and no log may hold one: what the project file does not say is
 * shown in part only.
 */
function loggable(route: Route | undefined, { host, port }: Target): string {
  if (isIP(host) !== 0) return host;
  const entries = route?.network.allowlist ?? [];
  if (entries.some((entry) => !entry.wildcard && entry.host === host)) return host;
  const wildcard = entries.find((entry) => entry.wildcard && allows([entry], host, port));
  if (wildcard) return describeAllowedHost(wildcard);
  return host
    .split(".")
    .slice(-4)
    .map((label) => (label.length <= SHOWN_CHARACTERS ? label : `${label.slice(0, 3)}…${label.length}`))
    .join(".");
}
