import { setTimeout as delay } from "node:timers/promises";
import { type Airlock, createAirlock } from "#sdk/airlock.ts";
import { type Execution, isSettled } from "#sdk/execution.ts";
import { createNodeTransport } from "#sdk/node-transport.ts";
import type { Transport } from "#sdk/transport.ts";

/** A client of Airlock's REST API over connections that stay open, as agents have them. */
export type RestClient = Airlock & { close(): void };

/**
 * The method by which a client learns that an execution has ended: repeated calls, or a long poll
 * (`?wait=30`).
 */
export type Following = "poll" | "wait";

/** Milliseconds between two polls. */
export const POLL_MS = 2;

const ATTEMPT_MS = 120_000;

/**
 * Makes a client that costs little, because its own cost is part of every figure, and that repeats nothing,
 * because a repetition would be measured as one slow call. `around` wraps the transport; `key` is the API key.
 */
export function restClient(url: string, around = (send: Transport) => send, key?: string): RestClient {
  const { send, close } = createNodeTransport();
  const attempts = { retry: "never", attemptMs: ATTEMPT_MS } as const;
  return { ...createAirlock({ url, key, transport: around(send), ...attempts }), close };
}

/** Submits a script. Resolves to its execution id. */
export async function submit(airlock: Airlock, project: string, code: string): Promise<string> {
  return (await airlock.submit({ project, code, timeout: 300 })).execution_id;
}

/**
 * Runs a script and waits for its result. Rejects unless it completes, because failures are fast and would
 * make good figures.
 */
export async function execute(
  airlock: Airlock,
  project: string,
  code: string,
  following: Following = "wait",
): Promise<Execution> {
  const id = await submit(airlock, project, code);
  const execution = following === "wait" ? await airlock.executions.wait(id) : await pollOften(airlock, id);
  if (execution.status !== "completed") {
    throw new Error(`an execution in ${project} ended as ${execution.status}: ${execution.error}`);
  }
  return execution;
}

async function pollOften(airlock: Airlock, id: string): Promise<Execution> {
  for (;;) {
    const execution = await airlock.executions.get(id);
    if (isSettled(execution)) return execution;
    await delay(POLL_MS);
  }
}
