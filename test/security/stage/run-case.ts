import { expect } from "vitest";
import type { ExecutionView, RestClient } from "../../harness/rest.ts";
import type { HostileCase } from "../cases/cases.ts";
import type { HostileStage } from "./hostile-stage.ts";

const STOPPED_AFTER_S = 1;
const LONG_ENOUGH_S = 20;

/** Runs a case to its end, whatever it asks meanwhile. A case that needs nothing around it is played without a stage. */
export async function play(
  hostile: HostileCase,
  rest: RestClient,
  stage?: HostileStage,
): Promise<ExecutionView> {
  const { project = "demo", code, ends, timeout } = hostile;
  const usual = ends.includes("timeout") ? STOPPED_AFTER_S : LONG_ENOUGH_S;
  await stage?.forget();
  const id = await rest.submit({
    ...{ project, code, timeout: timeout ?? usual },
    ...(stage && { settings: stage.facts }),
  });
  for (;;) {
    const execution = await rest.settled(id);
    stage?.said.push(JSON.stringify(execution));
    if (execution.status !== "awaiting_llm") return execution;
    const answer = stage && (await hostile.meanwhile?.(stage, execution));
    await rest.respond(id, answer ?? "an answer");
  }
}

/** Fails the test unless the script came to its expected end, and the next run in its place is healthy. */
export async function expectItsEnd(
  hostile: HostileCase,
  execution: ExecutionView,
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
