import { AirlockError } from "../common/errors.ts";
import type { SanitizeChannel, SanitizeChunk, SanitizeResponse } from "../common/gen/airlock/v1/sanitizer.ts";
import { MAX_CHUNK_BYTES, MAX_MESSAGE_BYTES } from "../common/grpc-limits.ts";
import type { NeedleSet } from "../common/redaction/needle-set.ts";
import { TextRedactor } from "../common/redaction/text-redactor.ts";
import { breathe } from "./breathe.ts";
import { ByteCollector } from "./byte-collector.ts";
import { kindOf } from "./channels.ts";
import { redactJson } from "./json-redactor.ts";
import { outputWithheld } from "./output-withheld.ts";

const MAX_COLLECTED_BYTES = MAX_MESSAGE_BYTES;

/** The redaction of one execution's output: the open document of each channel. */
export class SanitizerSession {
  readonly #needles: NeedleSet;
  readonly #signal: AbortSignal;
  readonly #texts = new Map<SanitizeChannel, TextRedactor>();
  readonly #documents = new Map<SanitizeChannel, ByteCollector>();

  constructor(needles: NeedleSet, signal: AbortSignal) {
    this.#needles = needles;
    this.#signal = signal;
  }

  /** What may leave now that `chunk` has come in. */
  take(chunk: SanitizeChunk): AsyncGenerator<SanitizeResponse> {
    switch (kindOf(chunk.channel)) {
      case "text":
        return this.#takeText(chunk);
      case "json":
        return this.#takeJson(chunk);
      default:
        throw new AirlockError("invalid_request", "`channel` names no known channel.");
    }
  }

  async *#takeText({ channel, data, end, cut }: SanitizeChunk): AsyncGenerator<SanitizeResponse> {
    const redactor = this.#texts.get(channel) ?? new TextRedactor(this.#needles);
    this.#texts.set(channel, redactor);
    for (let at = 0; at < data.length; at += MAX_CHUNK_BYTES) {
      if (at > 0) await breathe(this.#signal);
      const pieces = redactor.push(data.subarray(at, at + MAX_CHUNK_BYTES));
      if (pieces.length > 0) yield response(channel, joined(pieces));
    }
    if (!end) return;
    this.#texts.delete(channel);
    const { pieces, droppedBytes } = redactor.end(cut);
    yield { channel, data: joined(pieces), end: true, droppedBytes };
  }

  async *#takeJson({ channel, data, end, cut }: SanitizeChunk): AsyncGenerator<SanitizeResponse> {
    const document = this.#documents.get(channel) ?? new ByteCollector();
    this.#documents.set(channel, document);
    const collected = [...this.#documents.values()].reduce((sum, each) => sum + each.length, data.length);
    if (collected > MAX_COLLECTED_BYTES)
      throw outputWithheld("it is too large to be checked as one document");
    document.append(data);
    if (!end) return;
    this.#documents.delete(channel);
    if (cut) throw outputWithheld("it was cut off, and JSON cannot be checked in part");
    const edits = await redactJson(document.bytes, this.#needles, this.#signal);
    for (const piece of edits.pieces()) yield response(channel, piece);
    yield { channel, data: Buffer.alloc(0), end: true, droppedBytes: 0 };
  }
}

function response(channel: SanitizeChannel, data: Buffer): SanitizeResponse {
  return { channel, data, end: false, droppedBytes: 0 };
}

function joined(pieces: readonly Uint8Array[]): Buffer {
  const [first] = pieces;
  if (pieces.length !== 1 || !first) return Buffer.concat(pieces);
  return Buffer.from(first.buffer, first.byteOffset, first.byteLength);
}
