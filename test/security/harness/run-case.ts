import { expect } from "vitest";
import { ApiError } from "#sdk/api-error.ts";
import type { Execution } from "#sdk/execution.ts";
import type { RestClient } from "../../harness/rest.ts";
import type { HostileCase } from "../cases/cases.ts";
import type { HostileHarness } from "./hostile-harness.ts";

const STOPPED_AFTER_S = 1;
const LONG_ENOUGH_S = 20;

/** Runs a case to its end and answers its llm requests. A case that attacks nothing around it needs no harness. */
export async function runCase(
  hostile: HostileCase,
  rest: RestClient,
  harness?: HostileHarness,
): Promise<Execution> {
  const { project = "demo", code, ends, timeout } = hostile;
  const usual = ends.includes("timeout") ? STOPPED_AFTER_S : LONG_ENOUGH_S;
  await harness?.forget();
  const id = await rest.submit({
    ...{ project, code, timeout: timeout ?? usual },
    ...(harness && { settings: harness.facts }),
  });
  for (;;) {
    const execution = await rest.settled(id);
    harness?.said.push(JSON.stringify(execution));
    if (execution.status !== "awaiting_llm") return execution;
    const answer = harness && (await hostile.meanwhile?.(harness, execution));
    await rest.respond(id, answer ?? "an answer").catch((error: unknown) => {
      // The attack has ended its own execution meanwhile; how it ended is compared below.
      if (!(error instanceof ApiError && error.status === 409)) throw error;
    });
  }
}

/** Fails the test unless the script ended as expected, and the next run of the project completes. */
export async function expectItsEnd(
  hostile: HostileCase,
  execution: Execution,
  rest: RestClient,
): Promise<void> {
  const shown = JSON.stringify({ ...execution, stdout: execution.stdout.slice(0, 200) });
  expect(hostile.ends, shown).toContain(execution.end_reason);
  if (hostile.value !== undefined) expect(execution.result).toEqual(hostile.value);
  if (hostile.shows !== undefined) expect(execution).toMatchObject(hostile.shows);
  const { project = "demo" } = hostile;
  const next = await rest.run({ project, code: "print('fine')\nset_result(1)" });
  expect([next.end_reason, next.result, next.stdout]).toEqual(["completed", 1, "fine\n"]);
}
