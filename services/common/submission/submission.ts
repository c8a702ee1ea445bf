import type { Project } from "#proto/pool_manager.ts";
import type { SubmitRequest } from "#proto/router.ts";
import { AirlockError } from "../errors.ts";
import { MAX_SETTINGS, settingNameProblem } from "./limits.ts";
import { memoryProblem } from "./memory.ts";

const DEFAULT_TIMEOUT_MS = 60_000;

/** A checked submission: everything that can influence the script, and the execution's id and time. */
export type Submission = {
  readonly executionId: string;
  readonly project: string;
  readonly code: string;
  readonly timeoutMs: number;
  readonly settings: Readonly<Record<string, string>>;
  /**
   * The script's memory as the JSON text {category: {key: value}}, exactly as it was sent; `{}` when none was
   * sent.
   */
  readonly memoryJson: string;
  readonly createdAtMs: number;
};

/**
 * Checks a request to `project` and turns the request into a submission. Rejects with `project_invalid` or
 * `invalid_request`. The memory stays the text that was sent, because parsing and printing that text again
 * could change its numbers.
 */
export async function toSubmission(
  request: SubmitRequest,
  project: Project,
  executionId: string,
  createdAtMs: number,
  signal?: AbortSignal,
): Promise<Submission> {
  if (project.problem !== "") {
    throw new AirlockError(
      "project_invalid",
      `Project "${project.name}" cannot be used until the operator corrects its file: ${project.problem}`,
    );
  }
  refuseNul("code", request.code);
  if (request.code.trim() === "") throw invalid("code", "code is empty; send Python source.");
  const settings = Object.entries(request.settings);
  if (settings.length > MAX_SETTINGS)
    throw invalid("settings", `settings may have at most ${MAX_SETTINGS} names.`);
  for (const [key, value] of settings) {
    refuseNul("settings", key);
    refuseNul(`settings.${key}`, value);
    const problem = settingNameProblem(key);
    if (problem) throw invalid("settings", `settings has a name that cannot be used: "${key}" ${problem}.`);
  }
  const memoryJson = request.memoryJson === "" ? "{}" : request.memoryJson;
  const problem = await memoryProblem(memoryJson, signal);
  if (problem !== undefined) throw invalid("memory", problem);
  return {
    executionId,
    project: project.name,
    code: request.code,
    timeoutMs: timeoutOf(request.timeoutMs, project),
    settings: request.settings,
    memoryJson,
    createdAtMs,
  };
}

function timeoutOf(requestedMs: number | undefined, project: Project): number {
  const limitMs = project.limits?.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  if (requestedMs === undefined) return Math.min(DEFAULT_TIMEOUT_MS, limitMs);
  if (requestedMs >= 1 && requestedMs <= limitMs) return Math.round(requestedMs);
  throw invalid(
    "timeout",
    `timeout must be more than 0 and at most ${limitMs / 1_000} seconds, the limit of project "${project.name}".`,
  );
}

function refuseNul(field: string, value: string): void {
  if (value.includes("\0"))
    throw invalid(
      field,
      `${field} contains a NUL character, which Python source and settings cannot contain; remove it.`,
    );
}

function invalid(field: string, message: string): AirlockError {
  return new AirlockError("invalid_request", message, { field });
}
