import { AirlockError, hasCode } from "#common/errors.ts";
import { isConnectionLost } from "#common/grpc/errors.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Grant } from "../execution.ts";
import { isSanitizerLost, openSanitizer, regainSanitizer } from "../peers/sanitizer.ts";
import { createBreakCount } from "./break-count.ts";
import { isHandedOver } from "./interruption.ts";
import type { LeasedRun, RunParts, RunPlan } from "./open-run.ts";
import { reachAgain } from "./reach-worker.ts";
import type { ResponseTimer } from "./response-timer.ts";
import { type EndedRun, type RunEntry, stopRun, streamRun } from "./run-stream.ts";

// The worker ends a run at its timeout. When the worker has not ended the run this many milliseconds later,
// the router takes the worker for hung, ends the run as worker_lost and has the worker replaced. The time is
// long, because a fork bomb in gVisor takes all processor time from the worker and delays the end of the run
// by more than five seconds.
const TIMEOUT_GRACE_MS = 10_000;
const CONDEMN_TIMEOUT_MS = 2_000;
const LOOK_AGAIN_MS = 100;
const MAX_BREAKS_IN_ROW = 5;

/**
 * Follows a run to its end. When the connection to the worker or to the sanitizer breaks, the router attaches
 * to the run again, and the worker replays the output from its start. Rejects when the worker or the
 * sanitizer is lost for good, or when the run is interrupted.
 */
export async function runOnWorker(plan: RunPlan, run: LeasedRun, parts: RunParts): Promise<EndedRun> {
  const { grant, entry: first } = plan;
  const { responseTimer } = run;
  const stopTimer = boundRun(plan.timeoutMs, responseTimer, run, parts);
  // This start message is sent when an attach finds that the worker does not have the run, because the first
  // start message never reached the worker.
  const orStart = plan.orStart ?? first;
  const attach = { kind: "attach", executionId: run.executionId, epoch: epochOf(first) } as const;
  const breaks = createBreakCount(parts.clock);
  let entry: RunEntry = first;
  try {
    for (;;) {
      breaks.began();
      responseTimer.listen();
      if (entry.kind === "attach") {
        run.output.rewind();
        // A pause on the broken stream may have stopped the stopwatch, so the stopwatch runs again. If the
        // llm request is still open, the worker repeats the request and the stopwatch stops again.
        run.stopwatch.resume();
      }
      try {
        return await streamOnce(entry, plan, run, parts);
      } catch (error) {
        if (entry.kind === "attach" && orStart.kind === "start" && hasCode(error, "run_unknown")) {
          entry = orStart;
          continue;
        }
        // The worker has the run already, because an earlier start message reached it late. So the router
        // attaches to the run.
        if (entry.kind === "start" && hasCode(error, "run_exists")) {
          entry = attach;
          continue;
        }
        if (!isConnectionLost(error) && !isSanitizerLost(error)) throw asWorkerError(error);
        await regain(error, grant, run, parts, breaks.broke()).catch((reason: unknown) => {
          if (!isHandedOver(reason))
            void stopRun(parts.workers.to(grant.workerAddress), { ...attach, workerId: grant.workerId });
          throw reason;
        });
        entry = attach;
      }
    }
  } finally {
    stopTimer();
  }
}

/**
 * Re-establishes the lost connection, to the worker or to the sanitizer. Rejects after 20 s, or after more than five
 * breaks in a row.
 */
async function regain(
  cause: unknown,
  { workerAddress }: Grant,
  { executionId, interruption, lease, stopwatch }: LeasedRun,
  parts: RunParts,
  breaksInRow: number,
): Promise<void> {
  if (breaksInRow > MAX_BREAKS_IN_ROW) throw cause;
  // The stopwatch stops, because the worker must not count as late while the router does not listen to it.
  stopwatch.pause();
  if (isConnectionLost(cause)) {
    parts.workers.forget(workerAddress);
    parts.log.warn({ executionId }, "the connection to a worker broke; attaching again");
    await interruption.race(reachAgain(workerAddress, lease, parts));
  } else {
    parts.log.warn(
      { executionId },
      "the connection to the sanitizer broke; the whole output is redacted again",
    );
    await interruption.race(regainSanitizer(parts.sanitizer, cause));
  }
}

async function streamOnce(
  entry: RunEntry,
  { grant }: RunPlan,
  run: LeasedRun,
  parts: RunParts,
): Promise<EndedRun> {
  const { executionId, project } = run;
  const { workerId, secretsVersion, llmTimeoutMs } = grant;
  const open = { project, executionId, secretsVersion };
  const sanitizer = openSanitizer(parts.sanitizer, open, run.output.add, parts.clock);
  let isLost = false;
  try {
    const worker = parts.workers.to(grant.workerAddress);
    return await streamRun(entry, {
      ...run,
      ...{
        worker,
        workerId,
        secretsVersion,
        llmTimeoutMs,
        sanitizer,
        store: parts.store,
        clock: parts.clock,
        log: parts.log,
      },
    });
  } catch (error) {
    isLost = isConnectionLost(error) || isSanitizerLost(error);
    throw error;
  } finally {
    sanitizer.close();
    // After a lost connection the redaction counts are discarded, because the worker replays the output, and
    // the output is then redacted and counted again.
    // The counts are stored with the ending, so that a caller that sees the ending finds the counts too.
    if (!isLost) run.redactions.push(...sanitizer.takeRedactions());
  }
}

/**
 * Ends the run as worker_lost and has the worker replaced, when the worker has not ended the run 10 s after
 * its timeout of `timeoutMs`. The returned function cancels this.
 */
function boundRun(
  timeoutMs: number,
  responseTimer: ResponseTimer,
  { executionId, interruption, lease }: LeasedRun,
  { clock, log }: RunParts,
): () => void {
  return armTimeout(timeoutMs + TIMEOUT_GRACE_MS, responseTimer, clock, () => {
    const interrupt = () =>
      interruption.interrupt(
        "worker_lost",
        "The worker stopped answering and is being replaced; part of the script may have run. Check for side effects, then submit it again.",
      );
    const stopWaiting = clock.after(CONDEMN_TIMEOUT_MS, interrupt);
    const report = (error: unknown) => log.warn({ err: error, executionId }, "worker not condemned");
    void lease.condemn().catch(report).finally(stopWaiting).then(interrupt);
  });
}

/**
 * Calls `onOver` when the router has waited `limitMs` milliseconds for messages of the worker.
 * `responseTimer` measures this time, without pauses. The returned function cancels the call.
 */
function armTimeout(
  limitMs: number,
  responseTimer: ResponseTimer,
  clock: Clock,
  onOver: () => void,
): () => void {
  let cancel: () => void = () => undefined;
  const arm = () => {
    const leftMs = limitMs - responseTimer.elapsedMs();
    // A pause stops the response timer, but not the clock's timer, so a clock timer that fires too early is
    // set again. The timer is also set again while the router is busy: a router whose process was stopped for
    // a while may still be processing messages that came in time.
    if (leftMs > 0 || responseTimer.isBusy()) cancel = clock.after(Math.max(leftMs, LOOK_AGAIN_MS), arm);
    else onOver();
  };
  arm();
  return () => cancel();
}

function epochOf(entry: RunEntry): number {
  return entry.kind === "attach" ? entry.epoch : entry.script.epoch;
}

/**
 * Turns the worker's refusal of an attach into `worker_lost`, the error of the execution. Returns every other
 * error unchanged.
 */
function asWorkerError(error: unknown): unknown {
  if (!hasCode(error, "run_unknown") && !hasCode(error, "run_over")) return error;
  return new AirlockError("worker_lost", "The worker does not have the run any more.", { cause: error });
}
