import { Counter, Gauge, Registry } from "prom-client";
import type { Verdict } from "../policy/refusal.ts";
import type { Route } from "../routes/routes.ts";
import type { AttemptLog } from "./attempt-log.ts";
import type { Target } from "./destination.ts";

/** Counts every attempt of a script to reach the network, in Prometheus metrics, and writes it to the log. */
export type Attempts = {
  readonly registry: Registry;
  /** Counts a route that was opened. */
  open(route: Route): void;
  /**
   * Counts and logs an attempt. `route` is undefined without valid credentials, and `target` when the request
   * names no valid target.
   */
  note(route: Route | undefined, target: Target | undefined, verdict: Verdict, cause?: unknown): void;
  /** Adds the bytes of a closing route to the counters, and logs how many attempts have no log line. */
  close(route: Route): void;
};

/**
 * Makes the counters. The labels of the metrics are project names or fixed words, never hosts, because
 * scripts can invent hosts without limit.
 */
export function createAttempts(log: AttemptLog): Attempts {
  const registry = new Registry();
  const registers = [registry];
  const attempts = new Counter({
    name: "airlock_egress_attempts_total",
    help: "Attempts of scripts to reach the network; without a project where the credentials were no run's.",
    labelNames: ["project", "verdict"],
    registers,
  });
  const bytes = new Counter({
    name: "airlock_egress_bytes_total",
    help: "Bytes that scripts moved through the egress service, counted when their runs end.",
    labelNames: ["project", "direction"],
    registers,
  });
  const routes = new Gauge({
    name: "airlock_egress_open_routes",
    help: "Runs that have a way to the network now.",
    labelNames: ["project"],
    registers,
  });
  return {
    registry,
    open({ project }) {
      routes.inc({ project });
    },
    note(route, target, verdict, cause) {
      attempts.inc({ project: route?.project ?? "", verdict });
      log.note(route, target, verdict, cause);
    },
    close(route) {
      const { project, traffic } = route;
      routes.dec({ project });
      bytes.inc({ project, direction: "in" }, traffic.bytes.in);
      bytes.inc({ project, direction: "out" }, traffic.bytes.out);
      log.close(route);
    },
  };
}
