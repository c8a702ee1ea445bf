import { hasCode } from "#common/errors.ts";
import type { Clock } from "#common/resilience/clock.ts";
import { doubling, retry } from "#common/resilience/retry.ts";
import type { Log } from "#common/service/log.ts";
import { type Ending, failure, NO_OUTPUT, type OutputPiece, type Redaction } from "../execution.ts";
import type { ExecutionStore } from "../store/store.ts";

const ATTEMPTS_WITH_OUTPUT = 3;
const MAX_ATTEMPTS = 12;
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5_000;

/**
 * Records the ending of an execution, with the output and the redactions that are not stored yet. While the
 * database cannot be reached, tries again until `over` aborts at the end of a shutdown. When the database refuses the
 * write (a full disk, a lock), tries three times with the output and then without. After twelve refusals,
 * about half a minute, rejects. Resolves to the recorded ending, or to undefined when the execution has ended
 * already or belongs to another router.
 */
export async function recordEnding(
  store: ExecutionStore,
  executionId: string,
  ending: Ending,
  last: OutputPiece,
  clock: Clock,
  log: Log,
  over: AbortSignal,
  redactions: readonly Redaction[] = [],
): Promise<Ending | undefined> {
  let refusals = 0;
  const record = async () => {
    const whole = refusals < ATTEMPTS_WITH_OUTPUT;
    const recorded = whole ? ending : withoutOutput(ending, last);
    const output = whole ? last : NO_OUTPUT;
    const isRecorded = await store.finish(executionId, recorded, output, clock.now(), redactions);
    return isRecorded ? recorded : undefined;
  };
  const mayRetry = (error: unknown, attempt: number) => {
    log.error({ err: error, executionId, attempt }, "ending not recorded");
    if (hasCode(error, "unavailable")) return !over.aborted;
    refusals += 1;
    return refusals < MAX_ATTEMPTS;
  };
  return await retry(record, { mayRetry, delayMs: doubling(FIRST_DELAY_MS, LONGEST_DELAY_MS), clock });
}

/**
 * The ending without result and last output. Its reason is output_withheld, because an execution whose output
 * is missing must never count as completed. The missing bytes of output count as truncated.
 */
function withoutOutput(ending: Ending, last: OutputPiece): Ending {
  const truncated = {
    stdout: ending.truncated.stdout + Buffer.byteLength(last.stdout),
    stderr: ending.truncated.stderr + Buffer.byteLength(last.stderr),
  };
  const said = ending.error === null ? "The script completed" : `The script ended as ${ending.reason}`;
  return failure(
    "output_withheld",
    `${said}, but its output and result could not be stored; tell the operator, then submit it again.`,
    ending.executionTimeMs,
    truncated,
  );
}
