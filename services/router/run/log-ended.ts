import type { Log } from "#common/service/log.ts";
import type { Ending } from "../execution.ts";

/**
 * Logs one line for each execution that ended, with the facts that an operator asks for first: the end reason
 * and the times. The execution's error is left out, because it is the script's own text. `elapsedMs`:
 * milliseconds since the script started, pauses included; undefined when this router did not start the
 * script.
 */
export function logEnded(
  log: Log,
  ended: {
    readonly executionId: string;
    readonly project: string;
    readonly ending: Ending;
    readonly elapsedMs?: number | undefined;
  },
): void {
  const { executionId, project, elapsedMs } = ended;
  const { reason: endReason, executionTimeMs, truncated } = ended.ending;
  log.info(
    {
      executionId,
      project,
      endReason,
      executionTimeMs,
      elapsedMs,
      truncatedBytes: truncated.stdout + truncated.stderr,
    },
    "execution ended",
  );
}
