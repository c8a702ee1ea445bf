import { endReasonFromProto, statusFromProto } from "../services/common/execution-names.ts";
import type { Execution } from "../services/common/gen/airlock/v1/execution.ts";
import { piecesOf } from "../services/common/text-pieces.ts";
import { takeTurns } from "../services/common/turn.ts";

/** So many characters are written in less than a millisecond. */
const STEP_CHARACTERS = 128 * 1024;

/** A member of an object: JSON text already, a text that is to be written as JSON, or an object. */
type Member = { readonly json: string } | { readonly text: string } | { readonly object: Members };
type Members = { readonly [key: string]: Member };

/**
 * The execution as REST shows it. `result` and `memory_updates` go in as the text they came as: parsing and printing
 * them would turn 1.0 into 1 and 9223372036854775809 into another number. Output by the megabyte is written in turns with
 * other work, and in many pieces.
 */
export async function executionText(execution: Execution): Promise<readonly Buffer[]> {
  const writer = new JsonWriter();
  await takeTurns(writer.object(membersOf(execution)));
  writer.flush();
  return writer.pieces;
}

function membersOf(execution: Execution): Members {
  const { llmRequest, truncated } = execution;
  const json = (value: unknown) => ({ json: JSON.stringify(value) });
  return {
    execution_id: json(execution.executionId),
    status: json(statusFromProto(execution.status) ?? "pending"),
    result: { json: execution.resultJson || "null" },
    stdout: { text: execution.stdout },
    stderr: { text: execution.stderr },
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
    memory_updates: { json: execution.memoryUpdatesJson || "{}" },
    execution_time_ms: json(execution.executionTimeMs ?? null),
    end_reason: json(endReasonFromProto(execution.endReason) ?? null),
    truncated: json({ stdout: truncated?.stdoutBytes ?? 0, stderr: truncated?.stderrBytes ?? 0 }),
  };
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
      else if ("json" in member) yield* this.#write(member.json, (piece) => piece);
      else {
        this.#short += '"';
        yield* this.#write(member.text, (piece) => JSON.stringify(piece).slice(1, -1));
        this.#short += '"';
      }
    }
    this.#short += "}";
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
