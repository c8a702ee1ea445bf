import type Docker from "dockerode";
import { AirlockError, asAirlockError } from "#common/errors.ts";
import type { CircuitRules } from "#common/resilience/circuit-breaker.ts";
import type { Circuits } from "#common/resilience/circuits.ts";
import type { WorkerDriver } from "../driver.ts";
import { ask } from "./engine.ts";

// The timeout of a ping: longer than a busy or restarting engine takes to answer, and much shorter than all
// calls of a start together.
const PING_TIMEOUT_MS = 20_000;

const RULES: CircuitRules = {
  failuresToOpen: 3,
  openMs: 1_000,
  longestOpenMs: 5_000,
  isFailure: () => true,
  refusal: (last) => new AirlockError("start_failed", asAirlockError(last).message),
};

/**
 * Wraps a driver so that it pings the engine before each start of a worker. After a few failed pings, starts
 * fail without a ping, because otherwise the executions of all projects would each wait for the timeout.
 */
export function guardEngine(driver: WorkerDriver, docker: Docker, circuits: Circuits): WorkerDriver {
  const circuit = circuits.add("docker", RULES);
  return {
    ...driver,
    async prepare(project, onProgress, signal) {
      await circuit.run(() => ask(() => docker.ping(), PING_TIMEOUT_MS));
      await driver.prepare(project, onProgress, signal);
    },
  };
}
