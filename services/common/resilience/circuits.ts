import { Counter, Gauge, Registry } from "prom-client";
import type { Log } from "../service/log.ts";
import {
  type CircuitBreaker,
  type CircuitRules,
  type CircuitState,
  createCircuitBreaker,
} from "./circuit-breaker.ts";
import type { Clock } from "./clock.ts";

/** The circuit breakers of one service, with metrics of their states and calls. */
export type Circuits = {
  /**
   * Makes the circuit breaker with the name `circuit`. `project`: the project that it is for; undefined for
   * one that serves the whole service.
   */
  add(circuit: string, rules: CircuitRules, project?: string): CircuitBreaker;
  readonly registry: Registry;
};

const STATES: Readonly<Record<CircuitState["kind"], number>> = { closed: 0, half_open: 1, open: 2 };

/** Makes the circuit breakers of a service. `prefix`: the beginning of the names of their metrics. */
export function createCircuits(prefix: string, clock: Clock, log: Log): Circuits {
  const registry = new Registry();
  const registers = [registry];
  const labelNames = ["circuit", "project"] as const;
  const states = new Gauge({
    name: `${prefix}_circuit_state`,
    help: "0: closed, calls go through. 1: half-open, one call is tried. 2: open, calls are refused at once.",
    labelNames,
    registers,
  });
  const opened = new Counter({
    name: `${prefix}_circuit_opened_total`,
    help: "How often the circuit opened.",
    labelNames,
    registers,
  });
  const calls = new Counter({
    name: `${prefix}_circuit_calls_total`,
    help: "Calls by outcome: succeeded, failed because the called service was away, or refused at once.",
    labelNames: [...labelNames, "outcome"],
    registers,
  });
  return {
    registry,
    add(circuit, rules, project = "") {
      const labels = { circuit, project };
      states.set(labels, STATES.closed);
      opened.inc(labels, 0);
      return createCircuitBreaker(rules, clock, {
        onCall: (outcome) => calls.inc({ ...labels, outcome }),
        onState(state) {
          states.set(labels, STATES[state.kind]);
          if (state.kind === "open") {
            opened.inc(labels);
            log.warn({ ...labels, err: state.last, openMs: state.openMs }, "circuit opened");
          } else if (state.kind === "closed") log.info(labels, "circuit closed");
        },
      });
    },
  };
}
