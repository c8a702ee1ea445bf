import { AirlockError, type ErrorCode } from "#common/errors.ts";
import {
  END_REASONS,
  type EndReasonName,
  endReasonToProto,
  STATUS_BY_END_REASON,
  statusToProto,
} from "#common/execution-names.ts";
import { jsonErrorPlace } from "#common/json/json-error-place.ts";
import type { Execution } from "#proto/execution.ts";

/** How the mock plays a script, as the script's comments `# mock: …` ask for. */
export type MockPlay = {
  /**
   * The error with which the first `times` submissions of this script are refused; all of them when `times`
   * is undefined.
   */
  readonly refusal: { readonly code: ErrorCode; readonly times: number | undefined } | undefined;
  /** Milliseconds that the execution stays pending. */
  readonly pendingForMs: number;
  /** Milliseconds that the execution stays running. */
  readonly runsForMs: number;
  /** The llm requests that the script makes before it runs on, in order. */
  readonly llmRequests: readonly { readonly prompt: string; readonly model: string }[];
  /** The members that the execution has when it has ended. */
  readonly ending: Partial<Execution>;
};

const COMMENT = /#[ \t]*mock:[ \t]*(\S*)(.*)$/gm;
const QUESTION =
  /llm\.complete\((?:\s*(["'])(?<prompt>.*?)\1(?:\s*,\s*(?:model\s*=\s*)?(["'])(?<model>.*?)\3)?)?/g;
const REFUSALS = ["queue_full", "storage_full", "overloaded", "unavailable"] as const satisfies ErrorCode[];
const MAX_RUNNING_S = 600;

/**
 * Reads the `# mock:` comments of `code`. Throws `invalid_request` for a comment that the mock does not know.
 */
export function playOf(code: string): MockPlay {
  let reason: EndReasonName = "completed";
  let resultJson = JSON.stringify({ echo: code });
  let stdout = code;
  let stderr = "";
  let memoryUpdatesJson = "{}";
  let pendingForMs = 0;
  let runsForMs = 0;
  let refusal: MockPlay["refusal"];
  for (const [, word = "", tail = ""] of code.matchAll(COMMENT)) {
    const rest = tail.trim();
    const named = END_REASONS.find((each) => each === word);
    if (named) reason = named;
    else if (word === "result") resultJson = jsonIn(word, rest);
    else if (word === "memory_updates") memoryUpdatesJson = memoryIn(rest);
    else if (word === "stdout") stdout = `${rest}\n`;
    else if (word === "stderr") stderr = `${rest}\n`;
    else if (word === "pending") pendingForMs = secondsIn(word, rest) * 1_000;
    else if (word === "running") runsForMs = secondsIn(word, rest) * 1_000;
    else if (word === "refuse") refusal = refusalIn(rest);
    else throw unknown(`the word "${word}"`);
  }
  const ending = endingOf(reason, { stdout, stderr }, { resultJson, memoryUpdatesJson });
  return { refusal, pendingForMs, runsForMs, llmRequests: llmRequestsIn(code), ending };
}

/**
 * The prompts and models that the script's code gives to llm.complete as string literals; a placeholder text
 * where it computes them.
 */
function llmRequestsIn(code: string): MockPlay["llmRequests"] {
  return [...code.matchAll(QUESTION)].map(({ groups }) => ({
    prompt: groups?.prompt || "A prompt that the script computes",
    model: groups?.model || "default",
  }));
}

function endingOf(
  reason: EndReasonName,
  output: Pick<Execution, "stdout" | "stderr">,
  outcome: Pick<Execution, "resultJson" | "memoryUpdatesJson">,
): Partial<Execution> {
  const ending = {
    status: statusToProto(STATUS_BY_END_REASON[reason]),
    endReason: endReasonToProto(reason),
    ...output,
  };
  if (reason === "completed") return { ...ending, ...outcome };
  return { ...ending, error: ERRORS[reason] ?? `The execution ended as ${reason}.` };
}

// Error texts of the mock's executions by end reason, the same as a real worker writes.
const ERRORS: Partial<Record<EndReasonName, string>> = {
  script_error:
    'Traceback (most recent call last):\n  File "script.py", line 1, in <module>\nValueError: as the mock was asked to',
  exit_nonzero: "The script ended with exit status 3.",
  timeout:
    "The script ran longer than its timeout of 60 s and was stopped. A request may ask for another timeout, up to the limit of its project.",
  killed: "The script's process was killed by SIGTERM.",
};

function jsonIn(word: string, text: string): string {
  const place = text === "" ? "nothing" : jsonErrorPlace(text);
  if (place !== undefined) throw unknown(`"${word}" has no valid JSON after it (${place})`);
  return text;
}

function memoryIn(text: string): string {
  const isObject = (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value);
  const memory: unknown = JSON.parse(jsonIn("memory_updates", text));
  if (isObject(memory) && Object.values(memory as object).every(isObject)) return text;
  throw unknown('"memory_updates" needs {"category": {"key": value}} after it');
}

function secondsIn(word: string, text: string): number {
  const seconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (seconds <= MAX_RUNNING_S) return seconds;
  throw unknown(`"${word}" needs a number of seconds up to ${MAX_RUNNING_S} after it`);
}

function refusalIn(text: string): MockPlay["refusal"] {
  const [name = "", times, ...more] = text.split(/[ \t]+/);
  const code = REFUSALS.find((each) => each === name);
  if (code && more.length === 0 && (times === undefined || /^\d{1,6}$/.test(times))) {
    return { code, times: times === undefined ? undefined : Number(times) };
  }
  throw unknown(`"refuse" needs one of ${REFUSALS.join(", ")} after it, and perhaps how often`);
}

function unknown(what: string): AirlockError {
  return new AirlockError(
    "invalid_request",
    `A comment "# mock:" asks for what the mock cannot do: ${what}. It knows: an end reason (${END_REASONS.join(", ")}), result JSON, memory_updates JSON, stdout TEXT, stderr TEXT, pending SECONDS, running SECONDS, refuse CODE [TIMES].`,
  );
}
