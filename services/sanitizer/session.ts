import { ByteCollector } from "#common/byte-collector.ts";
import { AirlockError } from "#common/errors.ts";
import { TextSteps } from "#common/event-loop/text-steps.ts";
import { Turn } from "#common/event-loop/turn.ts";
import { MAX_CHUNK_BYTES, MAX_MESSAGE_BYTES } from "#common/grpc/limits.ts";
import type { NeedleSet } from "#common/redaction/needles/needle-set.ts";
import { RedactionCounts } from "#common/redaction/redaction-counts.ts";
import { TextRedactor } from "#common/redaction/text-redactor.ts";
import { SanitizeChannel, type SanitizeChunk, type SanitizeResponse } from "#proto/sanitizer.ts";
import { kindOf } from "./channels.ts";
import type { Judge } from "./credentials/rules.ts";
import { CredentialPass } from "./credentials/text-pass.ts";
import { jsonRedaction } from "./json/redactor.ts";
import { outputWithheld } from "./output-withheld.ts";

/** The most bytes of a session's unfinished JSON documents together; beyond that the output is withheld. */
const MAX_COLLECTED_BYTES = MAX_MESSAGE_BYTES;

/**
 * Milliseconds between signs of life (AT_WORK) to the router while the session works and has no output yet.
 * They are needed because the router gives up a session that sends nothing.
 */
export const SIGN_MS = 1_000;

/** The sign of life: a response without data, which shows the router that the sanitizer still works. */
export const AT_WORK: SanitizeResponse = {
  channel: SanitizeChannel.UNSPECIFIED,
  data: Buffer.alloc(0),
  end: false,
  droppedBytes: 0,
  redactions: [],
};

type OpenText = {
  readonly redactor: TextRedactor;
  readonly counts: RedactionCounts;
  readonly steps: TextSteps;
};

/**
 * Redacts the output of one execution. Each output channel (stdout, result and others) has at most one
 * unfinished document at a time.
 */
export class SanitizerSession {
  readonly #needles: NeedleSet;
  readonly #judge: Judge;
  readonly #signal: AbortSignal;
  readonly #texts = new Map<SanitizeChannel, OpenText>();
  readonly #documents = new Map<SanitizeChannel, ByteCollector>();
  readonly #owner: string | undefined;
  #saidMs = performance.now();

  /**
   * `owner` names the project whose share of the event loop this session uses, so that the output of one
   * project does not delay that of others. Undefined: the work counts for no project.
   */
  constructor(needles: NeedleSet, judge: Judge, signal: AbortSignal, owner?: string) {
    this.#needles = needles;
    this.#judge = judge;
    this.#signal = signal;
    this.#owner = owner;
  }

  /**
   * Processes a chunk and yields the redacted output that further chunks cannot change. Throws
   * `output_withheld` for a JSON document that is invalid, cut off or too large, and `invalid_request` for an
   * unknown channel.
   */
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
    const open = this.#texts.get(channel) ?? openText(this.#needles, this.#judge, this.#owner);
    this.#texts.set(channel, open);
    const { redactor, counts, steps } = open;
    for (let at = 0; at < data.length; at += MAX_CHUNK_BYTES) {
      const chunk = data.subarray(at, at + MAX_CHUNK_BYTES);
      const pieces: Uint8Array[] = [];
      const push = (part: Uint8Array) => void pieces.push(...redactor.push(part));
      yield* this.#signs(steps.turns(chunk, push, this.#signal));
      if (pieces.length > 0) yield this.#response(channel, joined(pieces));
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
    const turn = new Turn(this.#owner);
    const work = { needles: this.#needles, judge: this.#judge, signal: this.#signal, turn, counts };
    const edits = yield* this.#signs(jsonRedaction({ ...work, text: document.bytes }));
    for (const piece of edits.pieces()) {
      yield this.#response(channel, piece);
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

  /**
   * Performs `work` and returns its result. Yields AT_WORK when the session has sent nothing for SIGN_MS, at
   * the end of a turn of the work, so that the router does not give the session up.
   */
  async *#signs<Result>(work: AsyncGenerator<void, Result>): AsyncGenerator<SanitizeResponse, Result> {
    for (;;) {
      const { done, value } = await work.next();
      if (done) return value as Result;
      if (performance.now() - this.#saidMs < SIGN_MS) continue;
      this.#saidMs = performance.now();
      yield AT_WORK;
    }
  }

  #response(channel: SanitizeChannel, data: Buffer): SanitizeResponse {
    this.#saidMs = performance.now();
    return { channel, data, end: false, droppedBytes: 0, redactions: [] };
  }
}

function openText(needles: NeedleSet, judge: Judge, owner: string | undefined): OpenText {
  const counts = new RedactionCounts();
  const redactor = new TextRedactor(needles, counts, new CredentialPass(judge, counts));
  return { redactor, counts, steps: new TextSteps(owner) };
}

function joined(pieces: readonly Uint8Array[]): Buffer {
  const [first] = pieces;
  if (pieces.length !== 1 || !first) return Buffer.concat(pieces);
  return Buffer.from(first.buffer, first.byteOffset, first.byteLength);
}
