import type Docker from "dockerode";
import { AirlockError, asAirlockError } from "#common/errors.ts";
import type { CircuitRules } from "#common/resilience/circuit-breaker.ts";
import type { Circuits } from "#common/resilience/circuits.ts";
import type { WorkerDriver } from "../driver.ts";
import { ask } from "./engine.ts";

// Milliseconds that a ping may take: longer than a busy or restarting Docker engine takes to answer, and much
// shorter than all calls to the engine in the start of one worker.
const PING_TIMEOUT_MS = 20_000;

/**
 * After three failed pings in a row, starts of workers are refused for a second, and for up to 5 s when
 * further pings fail.
 */
const RULES: CircuitRules = {
  failuresToOpen: 3,
  openMs: 1_000,
  longestOpenMs: 5_000,
  isFailure: () => true,
  refusal: (last) => new AirlockError("start_failed", asAirlockError(last).message),
};

/**
 * Wraps the docker driver so that it pings the engine before each start of a worker. After a few failed
 * pings, starts fail for a while without a ping, because otherwise the executions of all projects would each
 * wait for the ping's timeout.
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
