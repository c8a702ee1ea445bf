import { StringDecoder } from "node:string_decoder";
import { endReasonFromProto, statusFromProto } from "../services/common/execution-names.ts";
import { type Execution, type Waiting, WaitingKind } from "../services/common/gen/airlock/v1/execution.ts";
import { ExecutionText } from "../services/common/gen/airlock/v1/router.ts";
import { piecesOf } from "../services/common/text-pieces.ts";
import { takeTurns } from "../services/common/turn.ts";

/** So many characters are written in less than a millisecond. */
const STEP_CHARACTERS = 128 * 1024;

/** The texts of an execution that came in pieces, in UTF-8; a character may be in two pieces. */
export type LongTexts = ReadonlyMap<ExecutionText, readonly Buffer[]>;

/** An execution as it is to be shown. A text that is among its long ones is empty otherwise. */
export type ShownExecution = Execution & { readonly longTexts?: LongTexts };

type Text = string | readonly Buffer[];
/** A member of an object: JSON text already, a text that is to be written as JSON, or an object. */
type Member = { readonly json: Text } | { readonly text: Text } | { readonly object: Members };
type Members = { readonly [key: string]: Member };

export type ExecutionForm = {
  /** `result` is a JSON string that holds the JSON text, for parsers that would lose digits. */
  readonly resultAsText?: boolean;
  /** Shown as the last member. */
  readonly pollUrl?: string;
};

/**
 * The execution as REST shows it. `result` and `memory_updates` go in as the text they came as: parsing and printing
 * them would turn 1.0 into 1 and 9223372036854775809 into another number. Output by the megabyte is written in turns with
 * other work, and in many pieces.
 */
export async function executionText(
  execution: ShownExecution,
  { resultAsText = false, pollUrl }: ExecutionForm = {},
): Promise<readonly Buffer[]> {
  const writer = new JsonWriter();
  const members = membersOf(execution, resultAsText);
  const withUrl = pollUrl === undefined ? members : { ...members, poll_url: { text: pollUrl } };
  await takeTurns(writer.object(withUrl));
  writer.flush();
  return writer.pieces;
}

function membersOf(execution: ShownExecution, resultAsText: boolean): Members {
  const { llmRequest, truncated, waitingOn } = execution;
  const json = (value: unknown) => ({ json: JSON.stringify(value) });
  const instant = (ms: number | undefined) => json(ms === undefined ? null : new Date(ms).toISOString());
  const long = (text: ExecutionText, short: string): Text => execution.longTexts?.get(text) ?? short;
  const result = long(ExecutionText.RESULT_JSON, execution.resultJson || "null");
  return {
    execution_id: json(execution.executionId),
    project: json(execution.project),
    status: json(statusFromProto(execution.status) ?? "pending"),
    result: resultAsText ? { text: result } : { json: result },
    stdout: { text: long(ExecutionText.STDOUT, execution.stdout) },
    stderr: { text: long(ExecutionText.STDERR, execution.stderr) },
    error: execution.error === undefined ? json(null) : { text: execution.error },
    llm_request: llmRequest
      ? {
          object: {
            id: json(llmRequest.id),
            prompt: { text: llmRequest.prompt },
            model: { text: llmRequest.model },
          },
        }
      : json(null),
    waiting_on: json(waitingOn ? waitingView(waitingOn) : null),
    memory_updates: { json: long(ExecutionText.MEMORY_UPDATES_JSON, execution.memoryUpdatesJson || "{}") },
    execution_time_ms: json(execution.executionTimeMs ?? null),
    created_at: instant(execution.createdAtMs),
    started_at: instant(execution.startedAtMs),
    ended_at: instant(execution.endedAtMs),
    end_reason: json(endReasonFromProto(execution.endReason) ?? null),
    truncated: json({ stdout: truncated?.stdoutBytes ?? 0, stderr: truncated?.stderrBytes ?? 0 }),
  };
}

const WAITING_KINDS: Partial<Record<WaitingKind, string>> = {
  [WaitingKind.WORKER]: "worker",
  [WaitingKind.QUEUE]: "queue",
};

function waitingView({ kind, queuePosition, detail }: Waiting): object {
  return { kind: WAITING_KINDS[kind] ?? "service", queue_position: queuePosition || null, detail };
}

/** Writes JSON text into buffers; what is short goes into one. */
class JsonWriter {
  readonly pieces: Buffer[] = [];
  #short = "";

  *object(members: Members): Generator<void> {
    let before = "{";
    for (const [key, member] of Object.entries(members)) {
      this.#short += `${before}${JSON.stringify(key)}:`;
      before = ",";
      if ("object" in member) yield* this.object(member.object);
      else if ("json" in member) yield* this.#json(member.json);
      else {
        this.#short += '"';
        yield* this.#text(member.text);
        this.#short += '"';
      }
    }
    this.#short += "}";
  }

  *#json(json: Text): Generator<void> {
    if (typeof json === "string") return yield* this.#write(json, (piece) => piece);
    this.flush();
    this.pieces.push(...json);
  }

  *#text(text: Text): Generator<void> {
    const decoder = new StringDecoder();
    for (const piece of typeof text === "string" ? [text] : text) {
      const whole = typeof piece === "string" ? piece : decoder.write(piece);
      yield* this.#write(whole, (part) => JSON.stringify(part).slice(1, -1));
    }
  }

  *#write(value: string, spelled: (piece: string) => string): Generator<void> {
    for (const piece of piecesOf(value, STEP_CHARACTERS)) {
      this.#short += spelled(piece);
      if (value.length <= STEP_CHARACTERS) continue;
      this.flush();
      yield;
    }
  }

  flush(): void {
    this.pieces.push(Buffer.from(this.#short));
    this.#short = "";
  }
}
