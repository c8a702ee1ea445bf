import type { Log } from "#common/service/log.ts";
import type { Ending } from "../execution.ts";

/**
 * One line for each execution that ended, with what an operator asks first: how and after how long. The error is the
 * script's own text and stays out. `elapsedMs`: from the start of the script, pauses included.
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
