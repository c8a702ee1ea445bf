import { TextDecoder } from "node:util";
import { AirlockError, hasCode } from "#common/errors.ts";
import { clientDuplex } from "#common/grpc/client.ts";
import { MAX_CHUNK_BYTES } from "#common/grpc/limits.ts";
import { ready } from "#common/grpc/ready.ts";
import type { Clock } from "#common/resilience/clock.ts";
import { RESTART_MS } from "#common/service/grace-periods.ts";
import {
  SanitizeChannel,
  type SanitizeRequest,
  type SanitizeResponse,
  type SanitizerServiceClient,
} from "#proto/sanitizer.ts";
import type { Redaction } from "../execution.ts";

export type OutputChannel = typeof SanitizeChannel.STDOUT | typeof SanitizeChannel.STDERR;
export type DocumentChannel = Exclude<SanitizeChannel, OutputChannel | -1 | 0>;

/**
 * A redacted document of a run, such as its result or its error. `droppedBytes`: how many bytes the sanitizer
 * dropped from the end, because the document was cut there and the bytes could begin a secret; 0 when none.
 */
export type RedactedDocument = { readonly text: string; readonly droppedBytes: number };

/**
 * A session with the sanitizer that redacts all texts of one execution. After a failure the session gives out
 * nothing more, so that no unchecked text leaves Airlock.
 */
export type SanitizeCall = {
  /** Sends a chunk of script output to the sanitizer. The redacted text arrives later at `onOutput`. */
  write(channel: OutputChannel, data: Uint8Array): Promise<void>;
  /**
   * Ends an output channel, stdout or stderr. `cut`: whether the output was cut off at its end. Resolves when
   * all redacted text of the channel has arrived, to the number of bytes that the sanitizer dropped from the
   * end because they could begin a secret.
   */
  endOutput(channel: OutputChannel, cut: boolean): Promise<number>;
  /**
   * Redacts a whole document and resolves to its redacted text. Rejects with `output_withheld` when the
   * session fails, or when the sanitizer is silent for 20 s.
   */
  redact(channel: DocumentChannel, data: Uint8Array): Promise<string>;
  /**
   * Redacts a document that was cut off at its end. The sanitizer drops from the end the text that could be
   * the beginning of a secret.
   */
  redactCut(channel: DocumentChannel, data: Uint8Array): Promise<RedactedDocument>;
  /** Rejects with `output_withheld` as soon as the session has failed; never resolves. */
  readonly failed: Promise<never>;
  /**
   * Returns the redactions in documents and output channels that have ended since the last call of this
   * function.
   */
  takeRedactions(): Redaction[];
  close(): void;
};

type Pending = {
  readonly decoder: TextDecoder;
  text: string;
  readonly done: PromiseWithResolvers<RedactedDocument>;
};

/**
 * The name of each sanitizer channel in an execution's redaction counts. The name is the field of the
 * execution that the channel transports.
 */
const FIELDS: Partial<Record<SanitizeChannel, string>> = {
  [SanitizeChannel.STDOUT]: "stdout",
  [SanitizeChannel.STDERR]: "stderr",
  [SanitizeChannel.ERROR]: "error",
  [SanitizeChannel.LLM_PROMPT]: "llm_prompt",
  [SanitizeChannel.LLM_MODEL]: "llm_model",
  [SanitizeChannel.RESULT]: "result",
  [SanitizeChannel.MEMORY_UPDATES]: "memory_updates",
};

// A session fails when the sanitizer sends nothing for this long while a document is due. A working sanitizer
// sends an empty message each second. The first may take up to 14 s, until the sanitizer has the secret
// values from the secrets service. Redacting a document may take longer than this, depending on the load.
const SILENCE_MS = 20_000;

/**
 * Resolves when the sanitizer can be reached. Rejects with `output_withheld` after 20 s, because a script
 * must not start whose output could not be redacted.
 */
export function awaitSanitizer(sanitizer: SanitizerServiceClient): Promise<void> {
  return ready(sanitizer, RESTART_MS).catch((cause: unknown) => {
    const message =
      "The script was not started, because its output could not have been checked for secrets and would be withheld. Submit it again; if this goes on, tell the operator.";
    throw new AirlockError("output_withheld", message, { cause });
  });
}

/**
 * Resolves when a sanitizer can be reached again after a session broke. After 20 s, rejects with `cause`, the
 * error that ended the session.
 */
export function regainSanitizer(sanitizer: SanitizerServiceClient, cause: unknown): Promise<void> {
  return ready(sanitizer, RESTART_MS).catch(() => {
    throw cause;
  });
}

/**
 * The error of a session whose stream the sanitizer ended without an error of its own, because the sanitizer
 * is stopping.
 */
class StreamEnded extends Error {
  constructor() {
    super("the sanitizer ended the stream");
    this.name = "StreamEnded";
  }
}

/**
 * Whether the connection to the sanitizer was lost. The router then has the whole output redacted again, from
 * its start, by another sanitizer. A sanitizer that does not answer in time does not count as lost, because
 * the output itself may be what the sanitizer cannot process.
 */
export function isSanitizerLost(error: unknown): boolean {
  if (!hasCode(error, "output_withheld")) return false;
  const { cause } = error as AirlockError;
  if (cause instanceof StreamEnded) return true;
  const isTransport = cause instanceof AirlockError && cause.origin === "transport";
  return isTransport && (hasCode(cause, "unavailable") || hasCode(cause, "cancelled"));
}

/**
 * Opens a session with the sanitizer for one execution. `secretsVersion` names the version of the secret
 * values that the worker was given, because the sanitizer must search for the same values. `onOutput`
 * receives the redacted text of stdout and stderr.
 */
export function openSanitizer(
  sanitizer: SanitizerServiceClient,
  open: { project: string; executionId: string; secretsVersion: string },
  onOutput: (channel: OutputChannel, text: string) => void,
  clock: Clock,
): SanitizeCall {
  const stream = clientDuplex<SanitizeRequest, SanitizeResponse>(sanitizer.sanitize(), "sanitizer");
  const failed = Promise.withResolvers<never>();
  // This handler does nothing: a session may fail when no code waits for `failed` any more, and an unhandled
  // rejection would end the process.
  failed.promise.catch(() => undefined);
  const pending = new Map<SanitizeChannel, Pending>();
  let redacted: Redaction[] = [];
  let closed = false;
  let heardMs = clock.monotonicMs();

  const fail = (cause: unknown) => {
    if (closed) return;
    closed = true;
    const error = new AirlockError(
      "output_withheld",
      "Output was withheld because it could not be checked for secrets. Submit the script again; if this goes on, tell the operator.",
      { cause },
    );
    failed.reject(error);
    for (const { done } of pending.values()) done.reject(error);
    stream.cancel();
  };
  const documentOn = (channel: SanitizeChannel): Pending => {
    let document = pending.get(channel);
    if (!document) {
      document = {
        decoder: new TextDecoder("utf-8", { ignoreBOM: true }),
        text: "",
        done: Promise.withResolvers(),
      };
      document.done.promise.catch(() => undefined);
      pending.set(channel, document);
    }
    return document;
  };
  const receive = async () => {
    for (;;) {
      const response = await stream.next();
      if (response === null) throw new StreamEnded();
      heardMs = clock.monotonicMs();
      const { channel, data, end, droppedBytes, redactions } = response;
      // An empty message only says that the sanitizer is still working. The time of its arrival is noted
      // above.
      if (data.length === 0 && !end) continue;
      const document = documentOn(channel);
      const text = document.decoder.decode(data, { stream: !end });
      if (isOutput(channel)) {
        if (text !== "") onOutput(channel, text);
      } else {
        document.text += text;
      }
      if (end) {
        pending.delete(channel);
        for (const { secret, count } of redactions) {
          redacted.push({ secret, field: FIELDS[channel] ?? "other", count });
        }
        document.done.resolve({ text: document.text, droppedBytes });
      }
    }
  };
  const send = async (message: SanitizeRequest) => {
    if (closed) return await failed.promise;
    try {
      await stream.send(message);
    } catch (error) {
      fail(error);
      await failed.promise;
    }
  };
  const sendChunk = (channel: SanitizeChannel, data: Uint8Array, end: boolean, cut: boolean) =>
    send({
      message: {
        $case: "chunk",
        value: { channel, data: Buffer.from(data.buffer, data.byteOffset, data.byteLength), end, cut },
      },
    });

  /**
   * Resolves to the redacted document of a channel when it is complete. Fails the whole session when the
   * sanitizer sends nothing for 20 s before that.
   */
  const answerOn = (channel: SanitizeChannel): Promise<RedactedDocument> => {
    let stopTimer = () => {};
    const watch = (fromMs: number) => {
      stopTimer = clock.after(fromMs + SILENCE_MS - clock.monotonicMs(), () => {
        if (heardMs > fromMs) watch(heardMs);
        else fail(new Error("the sanitizer did not answer in time"));
      });
    };
    watch(clock.monotonicMs());
    const answer = documentOn(channel).done.promise.finally(() => stopTimer());
    answer.catch(() => undefined);
    return answer;
  };

  const redactDocument = async (channel: DocumentChannel, data: Uint8Array, cut: boolean) => {
    const answer = answerOn(channel);
    for (let start = 0; ; start += MAX_CHUNK_BYTES) {
      const end = start + MAX_CHUNK_BYTES >= data.byteLength;
      await sendChunk(channel, data.subarray(start, start + MAX_CHUNK_BYTES), end, end && cut);
      if (end) break;
    }
    return await answer;
  };

  receive().catch(fail);
  send({ message: { $case: "open", value: open } }).catch(fail);
  return {
    failed: failed.promise,
    takeRedactions() {
      const taken = redacted;
      redacted = [];
      return taken;
    },
    async write(channel, data) {
      await sendChunk(channel, data, false, false);
    },
    async endOutput(channel, cut) {
      const answer = answerOn(channel);
      await sendChunk(channel, new Uint8Array(), true, cut);
      return (await answer).droppedBytes;
    },
    async redact(channel, data) {
      return (await redactDocument(channel, data, false)).text;
    },
    redactCut: (channel, data) => redactDocument(channel, data, true),
    close() {
      closed = true;
      stream.close();
    },
  };
}

function isOutput(channel: SanitizeChannel): channel is OutputChannel {
  return channel === SanitizeChannel.STDOUT || channel === SanitizeChannel.STDERR;
}
