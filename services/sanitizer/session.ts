import { ByteCollector } from "#common/byte-collector.ts";
import { AirlockError } from "#common/errors.ts";
import { TextSteps, Turn } from "#common/event-loop/turn.ts";
import { MAX_CHUNK_BYTES, MAX_MESSAGE_BYTES } from "#common/grpc/limits.ts";
import type { NeedleSet } from "#common/redaction/needles/needle-set.ts";
import { RedactionCounts } from "#common/redaction/redaction-counts.ts";
import { TextRedactor } from "#common/redaction/text-redactor.ts";
import type { SanitizeChannel, SanitizeChunk, SanitizeResponse } from "#proto/sanitizer.ts";
import { kindOf } from "./channels.ts";
import type { Judge } from "./credentials/rules.ts";
import { CredentialPass } from "./credentials/text-pass.ts";
import { redactJson } from "./json/redactor.ts";
import { outputWithheld } from "./output-withheld.ts";

const MAX_COLLECTED_BYTES = MAX_MESSAGE_BYTES;

type OpenText = {
  readonly redactor: TextRedactor;
  readonly counts: RedactionCounts;
  readonly steps: TextSteps;
};

/** The redaction of one execution's output: the open document of each channel. */
export class SanitizerSession {
  readonly #needles: NeedleSet;
  readonly #judge: Judge;
  readonly #signal: AbortSignal;
  readonly #texts = new Map<SanitizeChannel, OpenText>();
  readonly #documents = new Map<SanitizeChannel, ByteCollector>();

  constructor(needles: NeedleSet, judge: Judge, signal: AbortSignal) {
    this.#needles = needles;
    this.#judge = judge;
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
    const open = this.#texts.get(channel) ?? openText(this.#needles, this.#judge);
    this.#texts.set(channel, open);
    const { redactor, counts, steps } = open;
    for (let at = 0; at < data.length; at += MAX_CHUNK_BYTES) {
      const chunk = data.subarray(at, at + MAX_CHUNK_BYTES);
      const pieces: Uint8Array[] = [];
      await steps.each(chunk, (part) => void pieces.push(...redactor.push(part)), this.#signal);
      if (pieces.length > 0) yield response(channel, joined(pieces));
    }
    if (!end) return;
    this.#texts.delete(channel);
    const { pieces, droppedBytes } = redactor.end(cut);
    yield { channel, data: joined(pieces), end: true, droppedBytes, redactions: counts.toMessages() };
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
    const counts = new RedactionCounts();
    const edits = await redactJson(document.bytes, this.#needles, this.#judge, this.#signal, counts);
    const turn = new Turn();
    for (const piece of edits.pieces()) {
      yield response(channel, piece);
      if (turn.isOver) await turn.next(this.#signal);
    }
    yield {
      channel,
      data: Buffer.alloc(0),
      end: true,
      droppedBytes: 0,
      redactions: counts.toMessages(),
    };
  }
}

function response(channel: SanitizeChannel, data: Buffer): SanitizeResponse {
  return { channel, data, end: false, droppedBytes: 0, redactions: [] };
}

function openText(needles: NeedleSet, judge: Judge): OpenText {
  const counts = new RedactionCounts();
  const redactor = new TextRedactor(needles, counts, new CredentialPass(judge, counts));
  return { redactor, counts, steps: new TextSteps() };
}

function joined(pieces: readonly Uint8Array[]): Buffer {
  const [first] = pieces;
  if (pieces.length !== 1 || !first) return Buffer.concat(pieces);
  return Buffer.from(first.buffer, first.byteOffset, first.byteLength);
}
