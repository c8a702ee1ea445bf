import { asAirlockError } from "#common/errors.ts";
import { endReasonFromProto } from "#common/execution-names.ts";
import { SanitizeChannel } from "#proto/sanitizer.ts";
import { RunDocument_Kind, type RunFinished } from "#proto/worker.ts";
import { type Ending, failure, type Truncated } from "../execution.ts";
import type { DocumentChannel, SanitizeCall } from "../peers/sanitizer.ts";
import { Interrupted } from "./interruption.ts";
import { redactError } from "./redact-error.ts";

/**
 * The documents of a run by kind (result, memory updates, error), in pieces as the worker sent them: not yet
 * redacted.
 */
export type RunDocuments = ReadonlyMap<RunDocument_Kind, readonly Uint8Array[]>;

/**
 * Makes the ending of a run that its worker has finished, with its documents redacted. `dropped`: the bytes
 * of stdout and stderr that the sanitizer drops. Rejects with `output_withheld` when the documents cannot
 * be redacted.
 */
export async function endingOfFinished(
  finished: RunFinished,
  documents: RunDocuments,
  sanitizer: SanitizeCall,
  dropped: Promise<Truncated>,
): Promise<Ending> {
  const redact = async (kind: RunDocument_Kind, channel: DocumentChannel) => {
    const pieces = documents.get(kind);
    return pieces ? await sanitizer.redact(channel, Buffer.concat(pieces)) : undefined;
  };
  const [{ stdout, stderr }, result, memoryUpdates, error] = await Promise.all([
    dropped,
    redact(RunDocument_Kind.RESULT, SanitizeChannel.RESULT),
    redact(RunDocument_Kind.MEMORY_UPDATES, SanitizeChannel.MEMORY_UPDATES),
    redactedError(documents, sanitizer),
  ]);
  const reason = endReasonFromProto(finished.endReason) ?? "worker_lost";
  const truncated = {
    stdout: (finished.truncated?.stdoutBytes ?? 0) + stdout,
    stderr: (finished.truncated?.stderrBytes ?? 0) + stderr,
  };
  const { executionTimeMs } = finished;
  if (reason !== "completed") {
    return failure(reason, error ?? `The execution ended as ${reason}.`, executionTimeMs, truncated);
  }
  return {
    reason,
    error: null,
    resultJson: result ?? "null",
    memoryUpdatesJson: memoryUpdates ?? "{}",
    truncated,
    executionTimeMs,
  };
}

async function redactedError(documents: RunDocuments, sanitizer: SanitizeCall): Promise<string | undefined> {
  const pieces = documents.get(RunDocument_Kind.ERROR);
  return pieces && (await redactError(Buffer.concat(pieces).toString(), sanitizer));
}

/**
 * Makes the ending of a run that broke off because of the error `cause`. `executionTimeMs`: milliseconds that
 * the script ran; null when it never started. `hadStarted`: another router had started the script, so the
 * ending must not say that nothing of the script ran.
 */
export function endingOfFailure(cause: unknown, executionTimeMs: number | null, hadStarted: boolean): Ending {
  if (cause instanceof Interrupted && cause.reason !== "handed_over") {
    return failure(cause.reason, cause.message, executionTimeMs);
  }
  const error = asAirlockError(cause);
  const code = hadStarted && error.code !== "output_withheld" ? "worker_lost" : error.code;
  switch (code) {
    case "output_withheld":
      return failure("output_withheld", error.message, executionTimeMs);
    case "start_failed":
    case "project_invalid":
    case "project_not_found":
      return failure("start_failed", error.message, executionTimeMs);
    // The worker refused the script, because the router itself checked the submission before it accepted it.
    case "invalid_request":
      return failure(
        "start_failed",
        "The worker did not accept this script; nothing of it ran.",
        executionTimeMs,
      );
    default:
      return executionTimeMs === null
        ? failure(
            "start_failed",
            "No worker was available for this script; nothing of it ran. Submit it again.",
          )
        : failure(
            "worker_lost",
            "The worker that ran this script was lost; part of the script may have run. Check for side effects, then submit it again.",
            executionTimeMs,
          );
  }
}
