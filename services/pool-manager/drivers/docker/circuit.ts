import type Docker from "dockerode";
import { AirlockError, asAirlockError } from "#common/errors.ts";
import type { CircuitRules } from "#common/resilience/circuit-breaker.ts";
import type { Circuits } from "#common/resilience/circuits.ts";
import type { WorkerDriver } from "../driver.ts";
import { ask } from "./engine.ts";

// Longer than an engine that is busy or is being restarted takes, and far less than all the calls of a start.
const PING_TIMEOUT_MS = 20_000;

const RULES: CircuitRules = {
  failuresToOpen: 3,
  openMs: 1_000,
  longestOpenMs: 5_000,
  isFailure: () => true,
  refusal: (last) => new AirlockError("start_failed", asAirlockError(last).message),
};

/**
 * A driver that asks before each start of a worker whether the engine is there, and does not even ask after it was not a
 * few times: executions of all projects hear at once what otherwise each of them would wait for.
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
