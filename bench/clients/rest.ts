import { setTimeout as delay } from "node:timers/promises";
import type { HttpClient } from "./http.ts";

/** As much of an execution as is looked at here. */
export type ExecutionView = {
  readonly execution_id: string;
  readonly status: string;
  readonly stdout: string;
  readonly error: string | null;
  readonly llm_request: { readonly id: string } | null;
};

/** How an agent learns that an execution has ended: by asking again, or by a call that is held. */
export type Following = "poll" | "wait";

/** Between two polls. */
export const POLL_MS = 2;

export async function submit(http: HttpClient, project: string, code: string): Promise<string> {
  const text = await http.post("/execute", { project, code, timeout: 300 });
  return (JSON.parse(text) as ExecutionView).execution_id;
}

/** The execution once it is neither pending nor running. */
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

/** From submit to the result that was seen. Rejects unless it completed: a figure of failures would be a fine one. */
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
