import type { Clock } from "../common/clock.ts";
import { AirlockError } from "../common/errors.ts";
import { EndReason, type LlmRequest } from "../common/gen/airlock/v1/execution.ts";
import { SanitizeChannel } from "../common/gen/airlock/v1/sanitizer.ts";
import type {
  RunDocument_Kind,
  RunFinished,
  RunNetwork,
  RunRequest,
  RunResponse,
  WorkerServiceClient,
} from "../common/gen/airlock/v1/worker.ts";
import { type ClientDuplex, clientDuplex } from "../common/grpc-client.ts";
import { awaitStore } from "./await-store.ts";
import { endingOfFinished } from "./ending.ts";
import type { Ending, Submission } from "./execution.ts";
import type { Interruption } from "./interruption.ts";
import type { LeaseSession } from "./lease-session.ts";
import { awaitAnswer } from "./llm-pause.ts";
import type { OutputLog } from "./output-log.ts";
import type { OutputChannel, SanitizerSession } from "./sanitizer-session.ts";
import type { Stopwatch } from "./stopwatch.ts";
import type { ExecutionStore } from "./store/store.ts";

export type Conversation = {
  readonly worker: WorkerServiceClient;
  readonly llmTimeoutMs: number;
  /** Undefined: the script has no network. */
  readonly network: RunNetwork | undefined;
  readonly sanitizer: SanitizerSession;
  readonly lease: LeaseSession;
  readonly output: OutputLog;
  readonly stopwatch: Stopwatch;
  readonly interruption: Interruption;
  readonly store: ExecutionStore;
  readonly clock: Clock;
};

const KILLED: ReadonlySet<EndReason> = new Set([
  EndReason.KILLED,
  EndReason.TIMEOUT,
  EndReason.OUT_OF_MEMORY,
  EndReason.WORKER_LOST,
]);

type WorkerStream = ClientDuplex<RunResponse, RunRequest>;

/**
 * Runs the submission on a leased worker and follows it to its end; everything that the script says goes through the
 * sanitizer. Rejects when the worker, the sanitizer or the lease is lost, or the run is interrupted.
 */
export async function converse(submission: Submission, run: Conversation): Promise<Ending> {
  const { interruption, sanitizer } = run;
  const stream: WorkerStream = clientDuplex(run.worker.run(), "worker");
  const written = new Set<OutputChannel>();
  try {
    const broken = Promise.withResolvers<never>();
    const followed = follow(stream, submission, run, written, broken.reject);
    const { finished, documents } = await interruption.race(
      Promise.race([followed, sanitizer.failed, broken.promise]),
    );
    stream.close();
    const dropped = await endOutput(sanitizer, written, (channel) => isCut(finished, channel));
    return await interruption.race(endingOfFinished(finished, documents, sanitizer, dropped));
  } catch (error) {
    stream.cancel();
    // What was printed before the break is worth having; a secret that was being written is not.
    await endOutput(sanitizer, written, () => true).catch(() => undefined);
    throw error;
  }
}

async function follow(
  stream: WorkerStream,
  submission: Submission,
  run: Conversation,
  written: Set<OutputChannel>,
  onBrokenPause: (cause: unknown) => void,
): Promise<{ finished: RunFinished; documents: Map<RunDocument_Kind, Uint8Array[]> }> {
  const { executionId, code, timeoutMs, settings, memoryJson } = submission;
  const documents = new Map<RunDocument_Kind, Uint8Array[]>();
  const start = { executionId, code, timeoutMs, settings: { ...settings }, memoryJson, network: run.network };
  await stream.send({ message: { $case: "start", value: start } });
  for (;;) {
    const event = (await stream.next())?.event;
    switch (event?.$case) {
      case "output": {
        const channel = event.value.isStderr ? SanitizeChannel.STDERR : SanitizeChannel.STDOUT;
        written.add(channel);
        await run.sanitizer.write(channel, event.value.data);
        break;
      }
      case "llmRequest":
        // The worker is heard on while the agent thinks: it may be lost in the meantime.
        pause(event.value, stream, executionId, run).catch(onBrokenPause);
        break;
      case "document":
        documents.set(event.value.kind, [...(documents.get(event.value.kind) ?? []), event.value.data]);
        break;
      case "finished":
        return { finished: event.value, documents };
      default:
        throw new AirlockError("worker_lost", "The worker ended the run without saying how.");
    }
  }
}

async function pause(
  request: LlmRequest,
  stream: WorkerStream,
  executionId: string,
  run: Conversation,
): Promise<void> {
  run.stopwatch.pause();
  const [prompt, model] = await Promise.all([
    run.sanitizer.clean(SanitizeChannel.LLM_PROMPT, Buffer.from(request.prompt)),
    run.sanitizer.clean(SanitizeChannel.LLM_MODEL, Buffer.from(request.model)),
  ]);
  await run.output.flush();
  const redactions = run.sanitizer.takeRedactions();
  await awaitStore(() => run.store.addRedactions(executionId, redactions), run.interruption, run.clock);
  const response = await awaitAnswer(
    { id: request.id, prompt, model },
    { ...run, executionId, executionTimeMs: run.stopwatch.elapsedMs() },
    run.store,
    run.clock,
  );
  run.stopwatch.resume();
  await stream.send({ message: { $case: "answer", value: { llmRequestId: request.id, response } } });
}

async function endOutput(
  sanitizer: SanitizerSession,
  written: ReadonlySet<OutputChannel>,
  isCut: (channel: OutputChannel) => boolean,
): Promise<{ stdout: number; stderr: number }> {
  const end = async (channel: OutputChannel) =>
    written.has(channel) ? await sanitizer.endOutput(channel, isCut(channel)) : 0;
  const [stdout, stderr] = await Promise.all([end(SanitizeChannel.STDOUT), end(SanitizeChannel.STDERR)]);
  return { stdout, stderr };
}

/** Whether the output may end in the middle of something: it was too long, or the script was killed while it wrote. */
function isCut({ truncated, endReason }: RunFinished, channel: OutputChannel): boolean {
  const cutBytes = channel === SanitizeChannel.STDOUT ? truncated?.stdoutBytes : truncated?.stderrBytes;
  return (cutBytes ?? 0) > 0 || KILLED.has(endReason);
}
