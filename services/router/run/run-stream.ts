import { AirlockError, hasCode } from "#common/errors.ts";
import { type ClientDuplex, clientDuplex } from "#common/grpc/client.ts";
import { isConnectionLost } from "#common/grpc/errors.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import type { LlmRequest } from "#proto/execution.ts";
import { SanitizeChannel } from "#proto/sanitizer.ts";
import type {
  RunAttach,
  RunDocument_Kind,
  RunFinished,
  RunNetwork,
  RunRequest,
  RunResponse,
  WorkerServiceClient,
} from "#proto/worker.ts";
import type { Ending } from "../execution.ts";
import type { LeaseSession } from "../peers/lease.ts";
import { isSanitizerLost, type SanitizeCall } from "../peers/sanitizer.ts";
import type { ExecutionStore } from "../store/store.ts";
import { awaitStore } from "./await-store.ts";
import { endingOfFinished } from "./ending.ts";
import { type Interruption, isHandedOver, isInterrupted } from "./interruption.ts";
import { awaitResponse } from "./llm-pause.ts";
import { createOutputEnds, isCut, NOTHING_CUT, noteCut, type OutputEnds, within } from "./output-ends.ts";
import type { OutputLog } from "./output-log.ts";
import type { ResponseTimer } from "./response-timer.ts";
import type { RunningTime } from "./running-time.ts";
import type { ScriptToStart } from "./script-to-start.ts";
import type { Stopwatch } from "./stopwatch.ts";

/** The values and connections that a stream with the worker needs to follow one run. */
export type RunStream = {
  readonly project: string;
  readonly worker: WorkerServiceClient;
  readonly workerId: string;
  /**
   * The version of the secret values that the run's sanitizer searches for. A worker that has other values by
   * now must refuse to start the run.
   */
  readonly secretsVersion: string;
  readonly llmTimeoutMs: number;
  readonly sanitizer: SanitizeCall;
  readonly lease: LeaseSession;
  readonly output: OutputLog;
  readonly stopwatch: Stopwatch;
  readonly runningTime: RunningTime;
  readonly responseTimer: ResponseTimer;
  readonly interruption: Interruption;
  readonly store: ExecutionStore;
  readonly clock: Clock;
  readonly log: Log;
};

/** The first message to the worker: start a script, or attach to a run that the worker has already. */
export type RunEntry =
  | {
      readonly kind: "start";
      readonly script: ScriptToStart;
      /** The script's access to the network; undefined: the script has none. */
      readonly network: RunNetwork | undefined;
    }
  | { readonly kind: "attach"; readonly executionId: string; readonly epoch: number };

/** The ending of a run, and the two ways to end the stream with its worker afterwards. */
export type EndedRun = {
  readonly ending: Ending;
  /** Tells the worker to forget the run, because its ending is recorded. */
  recorded(): void;
  /**
   * Breaks the stream off, because the ending could not be recorded. The worker keeps the run for a router
   * that takes the execution over.
   */
  leave(): void;
};

// How long the router waits for the worker's last report after it has sent a stop message. The report says
// how much output was cut, and comes within milliseconds unless the worker hangs.
const STOP_TIMEOUT_MS = 2_000;

type WorkerStream = ClientDuplex<RunResponse, RunRequest>;

/**
 * Starts a script on a leased worker, or attaches to a run there, and follows it to its end. All output goes through
 * the sanitizer. Rejects when the worker, the sanitizer or the lease is lost, or the run is interrupted.
 */
export async function streamRun(entry: RunEntry, run: RunStream): Promise<EndedRun> {
  const { sanitizer } = run;
  const stream: WorkerStream = clientDuplex(run.worker.run(), "worker");
  const ends = createOutputEnds(sanitizer);
  const broken = Promise.withResolvers<never>();
  broken.promise.catch(() => undefined);
  // A pause ends when its stream breaks, because the worker repeats the llm request on the next stream.
  const interruption = {
    ...run.interruption,
    race: <T>(work: Promise<T>) => run.interruption.race(Promise.race([work, broken.promise])),
  };
  const followed = follow(stream, entry, { ...run, interruption }, ends, broken.reject);
  try {
    const { finished, documents } = await interruption.race(Promise.race([followed, sanitizer.failed]));
    const ending = await run.responseTimer.whileBusy(async () => {
      // The ends of the output and the documents go to the sanitizer together, so that the run waits once.
      const dropped = ends.end((channel) => isCut(finished, channel));
      return await interruption.race(endingOfFinished(finished, documents, sanitizer, dropped));
    });
    return {
      ending,
      recorded() {
        stream.send({ message: { $case: "recorded", value: {} } }).catch(() => undefined);
        stream.close();
      },
      leave: () => stream.cancel(),
    };
  } catch (error) {
    broken.reject(error);
    if (isHandedOver(error) || isConnectionLost(error) || isSanitizerLost(error)) {
      stream.cancel();
      throw error;
    }
    stream.send({ message: { $case: "stop", value: {} } }).catch(() => undefined);
    stream.close();
    // Output from before the break is kept. The sanitizer drops an unfinished match at its end, because that
    // text may be a part of a secret.
    const last = isInterrupted(error) ? await within(STOP_TIMEOUT_MS, followed, run.clock) : undefined;
    const dropped = await run.responseTimer.whileBusy(() => ends.end(() => true)).catch(() => NOTHING_CUT);
    noteCut(run.output, last?.finished.truncated, dropped);
    throw error;
  }
}

/**
 * Tells a worker to end a run that this router does not follow, so that its slot is free when the lease is
 * released. Resolves when the worker has ended the call, and never rejects.
 */
export function stopRun(worker: WorkerServiceClient, run: RunAttach): Promise<void> {
  const stream: WorkerStream = clientDuplex(worker.run(), "worker");
  const say = async () => {
    await stream.send({ message: { $case: "attach", value: run } });
    await stream.send({ message: { $case: "stop", value: {} } });
  };
  // A failed send is ignored, because a worker that gets no stop message ends the run by itself after some
  // time without a router.
  say().catch(() => undefined);
  stream.close();
  // The worker's messages are read to the end, because otherwise the router would not notice the end of the
  // call.
  const readAll = async () => {
    while ((await stream.next()) !== null);
  };
  return readAll().catch(() => undefined);
}

/** Whether the worker ended this router's stream because another router follows the run now. */
export function isSuperseded(error: unknown): boolean {
  return hasCode(error, "run_superseded");
}

async function firstMessage(
  entry: RunEntry,
  {
    workerId,
    secretsVersion,
    llmTimeoutMs,
    interruption,
    clock,
  }: Pick<RunStream, "workerId" | "secretsVersion" | "llmTimeoutMs" | "interruption" | "clock">,
): Promise<RunRequest["message"]> {
  if (entry.kind === "attach") return { $case: "attach", value: { ...entry, workerId } };
  const { epoch } = entry.script;
  const { executionId, code, timeoutMs, settings, memoryJson } = await awaitStore(
    entry.script.read,
    interruption,
    clock,
  );
  const script = { executionId, code, timeoutMs, settings: { ...settings }, memoryJson };
  const value = { ...script, epoch, workerId, secretsVersion, llmTimeoutMs, network: entry.network };
  return { $case: "start", value };
}

async function follow(
  stream: WorkerStream,
  entry: RunEntry,
  run: RunStream,
  ends: OutputEnds,
  onBrokenPause: (cause: unknown) => void,
): Promise<{ finished: RunFinished; documents: Map<RunDocument_Kind, Uint8Array[]> }> {
  const { executionId } = entry.kind === "attach" ? entry : entry.script;
  const documents = new Map<RunDocument_Kind, Uint8Array[]>();
  let paused: Promise<void> = Promise.resolve();
  await stream.send({ message: await firstMessage(entry, run) });
  if (entry.kind === "start") entry.script.forget();
  for (;;) {
    const response = await stream.next();
    const event = response?.event;
    switch (event?.$case) {
      case "output": {
        const channel = event.value.isStderr ? SanitizeChannel.STDERR : SanitizeChannel.STDOUT;
        const { data, cutBytes } = event.value;
        run.output.noteCut(channel, cutBytes);
        if (data.length === 0) break;
        ends.wrote(channel);
        await run.responseTimer.whileBusy(() => run.sanitizer.write(channel, data));
        break;
      }
      case "llmRequest":
        // The loop does not wait for the pause, because it must notice when the worker is lost meanwhile. The
        // worker may also send its next llm request during a pause, when the response reached the worker
        // through another router first. The next pause then begins when this one has ended.
        paused = paused.then(() =>
          pause(event.value, response?.executionTimeMs ?? 0, stream, executionId, run),
        );
        paused.catch(onBrokenPause);
        break;
      case "document":
        if (event.value.data.length === 0) {
          run.responseTimer.notDone();
          break;
        }
        documents.set(event.value.kind, [...(documents.get(event.value.kind) ?? []), event.value.data]);
        break;
      case "finished":
        return { finished: event.value, documents };
      default:
        throw new AirlockError("worker_lost", "The worker ended the run without reporting an ending.");
    }
  }
}

async function pause(
  request: LlmRequest,
  executionTimeMs: number,
  stream: WorkerStream,
  executionId: string,
  run: RunStream,
): Promise<void> {
  run.stopwatch.pause();
  run.runningTime.correct(executionTimeMs);
  const [prompt, model] = await Promise.all([
    run.sanitizer.redact(SanitizeChannel.LLM_PROMPT, Buffer.from(request.prompt)),
    run.sanitizer.redact(SanitizeChannel.LLM_MODEL, Buffer.from(request.model)),
  ]);
  await run.output.flush();
  const redactions = run.sanitizer.takeRedactions();
  await awaitStore(() => run.store.addRedactions(executionId, redactions), run.interruption, run.clock);
  const response = await awaitResponse(
    { id: request.id, prompt, model },
    { ...run, executionId, executionTimeMs },
    run.store,
    run.clock,
    run.log,
  );
  run.stopwatch.resume();
  await stream.send({ message: { $case: "answer", value: { llmRequestId: request.id, response } } });
}
