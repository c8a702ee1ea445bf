import type { Grant } from "../../services/router/execution.ts";

/** The worker that runs the executions of store tests. */
export const GRANT: Grant = {
  workerId: "w-1",
  workerAddress: "unix:/run/w-1.sock",
  secretsVersion: "v1",
  llmTimeoutMs: 900_000,
  network: false,
};
