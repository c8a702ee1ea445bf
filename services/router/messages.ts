import { endReasonToProto, statusToProto } from "#common/execution-names.ts";
import { EndReason, Execution as ExecutionMessage, type ExecutionSummary } from "#proto/execution.ts";
import {
  DeadLetter as DeadLetterMessage,
  ExecutionText,
  type TextPiece as TextPieceMessage,
} from "#proto/router.ts";
import type { Execution } from "./execution.ts";
import type { DeadLetter, LongText, Summary, TextPiece } from "./store/store.ts";

/** Converts an execution to the proto message that the router's callers receive. */
export function toExecutionMessage(execution: Execution): ExecutionMessage {
  const { state } = execution;
  const message = ExecutionMessage.create({
    executionId: execution.executionId,
    project: execution.project,
    status: statusToProto(state.status),
    resultJson: "null",
    memoryUpdatesJson: "{}",
    stdout: execution.stdout,
    stderr: execution.stderr,
    truncated: { stdoutBytes: 0, stderrBytes: 0 },
    executionTimeMs: execution.executionTimeMs ?? undefined,
    createdAtMs: execution.createdAtMs,
  });
  switch (state.status) {
    case "pending":
      return message;
    case "running":
      return { ...message, startedAtMs: state.startedAtMs };
    case "awaiting_llm":
      return { ...message, startedAtMs: state.startedAtMs, llmRequest: { ...state.llmRequest } };
    default: {
      const { reason, error, resultJson, memoryUpdatesJson, truncated } = state.ending;
      return {
        ...message,
        endReason: endReasonToProto(reason),
        resultJson,
        memoryUpdatesJson,
        error: error ?? undefined,
        truncated: { stdoutBytes: truncated.stdout, stderrBytes: truncated.stderr },
        startedAtMs: state.startedAtMs ?? undefined,
        endedAtMs: state.endedAtMs,
      };
    }
  }
}

const TEXTS = {
  result: ExecutionText.RESULT_JSON,
  memoryUpdates: ExecutionText.MEMORY_UPDATES_JSON,
  stdout: ExecutionText.STDOUT,
  stderr: ExecutionText.STDERR,
} as const satisfies Record<LongText, ExecutionText>;

/**
 * Converts a piece of a long text (result, memory updates, stdout or stderr) to the message that
 * ReadExecution streams.
 */
export function toPieceMessage({ text, piece }: TextPiece): TextPieceMessage {
  return { text: TEXTS[text], piece: Buffer.from(piece.buffer, piece.byteOffset, piece.length) };
}

/** Converts an entry of a list of executions to its proto message. */
export function toSummaryMessage(summary: Summary): ExecutionSummary {
  return {
    executionId: summary.executionId,
    project: summary.project,
    status: statusToProto(summary.status),
    endReason: summary.endReason ? endReasonToProto(summary.endReason) : EndReason.UNSPECIFIED,
    executionTimeMs: summary.executionTimeMs ?? undefined,
    createdAtMs: summary.createdAtMs,
    endedAtMs: summary.endedAtMs ?? undefined,
  };
}

/** Converts a dead letter to its proto message. */
export function toDeadLetterMessage({ endReason, newestRetries, ...letter }: DeadLetter): DeadLetterMessage {
  return DeadLetterMessage.create({
    ...letter,
    endReason: endReasonToProto(endReason),
    retriedAs: [...newestRetries],
  });
}
