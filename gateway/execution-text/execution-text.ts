import { createBackgroundThread } from "#common/event-loop/background-thread.ts";
import { takeTurns } from "#common/event-loop/turn.ts";
import { endReasonFromProto, statusFromProto } from "#common/execution-names.ts";
import { piecesOf } from "#common/text-pieces.ts";
import { type Execution, type Waiting, WaitingKind } from "#proto/execution.ts";
import { ExecutionText } from "#proto/router.ts";

/** Characters of a text that are escaped in one step, which takes less than a millisecond. */
const STEP_CHARACTERS = 128 * 1024;

/**
 * The texts of an execution that the router streamed in pieces because they are long, such as stdout, as
 * UTF-8. A character may be split over two pieces.
 */
export type LongTexts = ReadonlyMap<ExecutionText, readonly Buffer[]>;

/** An execution to send to a client. A text that is in `longTexts` is empty in the execution itself. */
export type ShownExecution = Execution & { readonly longTexts?: LongTexts };

/**
 * The value of a member in the JSON to write: `json` is JSON text already, `text` is still to be quoted and
 * escaped, `quoted` is escaped and needs only the quotes, `object` holds the members of a nested object.
 */
type Member =
  | { readonly json: string | readonly Buffer[] }
  | { readonly text: string }
  | { readonly quoted: readonly Buffer[] }
  | { readonly object: Members };
type Members = { readonly [key: string]: Member };

export type ExecutionForm = {
  /**
   * Whether `result` is written as a string that holds the JSON text, for clients whose JSON parser would
   * lose digits.
   */
  readonly resultAsText?: boolean;
  /** The value of `poll_url`, the last member. Undefined: there is no such member. */
  readonly pollUrl?: string;
};

const thread = createBackgroundThread<Uint8Array, { readonly bytes: Uint8Array }>(
  new URL("./json-string-task.ts", import.meta.url),
);

/**
 * Writes an execution as the JSON of the REST API. `result` and `memory_updates` are copied as text, because
 * parsing and printing would turn 1.0 into 1 and 9223372036854775809 into another number. Megabytes of output
 * are written in steps, so that other requests are served between them. Long texts are transferred to another
 * thread, so the caller must not use their buffers afterwards.
 */
export async function executionText(
  execution: ShownExecution,
  { resultAsText = false, pollUrl }: ExecutionForm = {},
): Promise<readonly Buffer[]> {
  const writer = new JsonWriter();
  const members = membersOf(execution, await quotedTexts(execution, resultAsText), resultAsText);
  const withUrl = pollUrl === undefined ? members : { ...members, poll_url: { text: pollUrl } };
  await takeTurns(writer.object(withUrl));
  writer.flush();
  return writer.pieces;
}

/** Escapes the long texts for JSON strings. Texts that are JSON already are left out of the result. */
async function quotedTexts({ longTexts }: ShownExecution, resultAsText: boolean): Promise<LongTexts> {
  const isJson = (text: ExecutionText) =>
    text === ExecutionText.MEMORY_UPDATES_JSON || (text === ExecutionText.RESULT_JSON && !resultAsText);
  const quoted = new Map<ExecutionText, readonly Buffer[]>();
  for (const [text, pieces] of longTexts ?? []) {
    if (!isJson(text)) quoted.set(text, await Promise.all(pieces.map(quote)));
  }
  return quoted;
}

async function quote(piece: Buffer): Promise<Buffer> {
  // A short Buffer shares its memory with other Buffers, so it is copied before its memory is transferred.
  const isAlone = piece.length === piece.buffer.byteLength;
  const own = isAlone ? new Uint8Array(piece.buffer) : Uint8Array.from(piece);
  const { bytes } = await thread.run(own, own);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

function membersOf(execution: ShownExecution, quoted: LongTexts, resultAsText: boolean): Members {
  const { llmRequest, truncated, waitingOn } = execution;
  const json = (value: unknown) => ({ json: JSON.stringify(value) });
  const instant = (ms: number | undefined) => json(ms === undefined ? null : new Date(ms).toISOString());
  const jsonOf = (text: ExecutionText, short: string): Member => ({
    json: execution.longTexts?.get(text) ?? short,
  });
  const textOf = (text: ExecutionText, short: string): Member => {
    const pieces = quoted.get(text);
    return pieces ? { quoted: pieces } : { text: short };
  };
  const result = execution.resultJson || "null";
  return {
    execution_id: json(execution.executionId),
    project: json(execution.project),
    status: json(statusFromProto(execution.status) ?? "pending"),
    result: (resultAsText ? textOf : jsonOf)(ExecutionText.RESULT_JSON, result),
    stdout: textOf(ExecutionText.STDOUT, execution.stdout),
    stderr: textOf(ExecutionText.STDERR, execution.stderr),
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
    memory_updates: jsonOf(ExecutionText.MEMORY_UPDATES_JSON, execution.memoryUpdatesJson || "{}"),
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

/**
 * Writes JSON into a list of buffers. Short members are collected in one buffer; long texts are added as they
 * are, so that their megabytes are not copied.
 */
class JsonWriter {
  readonly pieces: Buffer[] = [];
  #short = "";

  *object(members: Members): Generator<void> {
    let before = "{";
    for (const [key, member] of Object.entries(members)) {
      this.#short += `${before}${JSON.stringify(key)}:`;
      before = ",";
      if ("object" in member) yield* this.object(member.object);
      else if ("json" in member) {
        if (typeof member.json === "string") yield* this.#write(member.json, (piece) => piece);
        else this.#add(member.json);
      } else {
        this.#short += '"';
        if ("quoted" in member) this.#add(member.quoted);
        else yield* this.#write(member.text, (piece) => JSON.stringify(piece).slice(1, -1));
        this.#short += '"';
      }
    }
    this.#short += "}";
  }

  #add(pieces: readonly Buffer[]): void {
    this.flush();
    this.pieces.push(...pieces);
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
