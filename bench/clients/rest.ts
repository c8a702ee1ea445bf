import { setTimeout as delay } from "node:timers/promises";
import type { HttpClient } from "./http.ts";

/** The members of an execution that the benchmark reads. */
export type ExecutionView = {
  readonly execution_id: string;
  readonly status: string;
  readonly stdout: string;
  readonly error: string | null;
  readonly llm_request: { readonly id: string } | null;
};

/**
 * The method by which a client learns that an execution has ended: repeated calls, or a long poll
 * (`?wait=60`).
 */
export type Following = "poll" | "wait";

/** Milliseconds between two polls. */
export const POLL_MS = 2;

export async function submit(http: HttpClient, project: string, code: string): Promise<string> {
  const text = await http.post("/execute", { project, code, timeout: 300 });
  return (JSON.parse(text) as ExecutionView).execution_id;
}

/** Waits until the execution is neither pending nor running. */
export async function settled(
  http: HttpClient,
  id: string,
  following: Following = "wait",
): Promise<ExecutionView> {
  for (;;) {
    const text = await http.get(`/executions/${id}${following === "wait" ? "?wait=60" : ""}`);
    const execution = JSON.parse(text) as ExecutionView;
    if (execution.status !== "pending" && execution.status !== "running") return execution;
    if (following === "poll") await delay(POLL_MS);
  }
}

/**
 * Runs a script and waits for its result. Rejects unless it completes, because failures are fast and would
 * make good figures.
 */
export async function execute(
  http: HttpClient,
  project: string,
  code: string,
  following: Following = "wait",
): Promise<ExecutionView> {
  const execution = await settled(http, await submit(http, project, code), following);
  if (execution.status !== "completed") {
    throw new Error(`an execution in ${project} ended as ${execution.status}: ${execution.error}`);
  }
  return execution;
}
