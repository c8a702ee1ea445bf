import { createBackgroundThread, LARGE_BYTES } from "../event-loop/background-thread.ts";
import { takeTurns } from "../event-loop/turn.ts";
import { JsonSyntaxError, JsonTokens } from "../json/json-tokens.ts";
import { KeyTable } from "./key-table.ts";

const MAX_DEPTH = 200;
const SHAPE = 'memory must be an object of categories, each an object of keys: {"category": {"key": value}}.';
/**
 * Bytes of a memory that are checked in one step, which takes about a millisecond, whatever the bytes are.
 */
const STEP_BYTES = 16 * 1024;
/**
 * A number of at most this many characters, and without an exponent, is never too large for a float, so that
 * it need not be checked.
 */
const MAX_FITTING_DIGITS = 300;

const thread = createBackgroundThread<MemoryTask, MemoryTaskResult>(
  new URL("./memory-task.ts", import.meta.url),
);

export type MemoryTask = { readonly bytes: Uint8Array };
export type MemoryTaskResult = { readonly problem: string | undefined };

/**
 * The reason why a request's memory (a JSON text) is refused; undefined when the memory is accepted. JSON
 * that two parsers could understand differently, such as an object with one key twice, is refused, because
 * the worker parses the same text again. A memory may have millions of keys. A small one is checked on the
 * event loop, in steps between other work, a large one on another thread. Rejects with `cancelled` when
 * `signal` aborts.
 */
export async function memoryProblem(memoryJson: string, signal?: AbortSignal): Promise<string | undefined> {
  if (memoryJson === "{}") return undefined;
  if (!memoryJson.isWellFormed()) return HALF_CHARACTER;
  const bytes = Buffer.from(memoryJson);
  if (bytes.length <= LARGE_BYTES) return await takeTurns(checkMemory(bytes), signal);
  return (await thread.run({ bytes }, bytes, signal)).problem;
}

/**
 * Checks the bytes of a memory in steps of about a millisecond. Returns the problem; undefined when there is
 * none.
 */
export function* checkMemory(bytes: Buffer): Generator<void, string | undefined> {
  const check = new MemoryCheck(bytes);
  try {
    while (!check.advance()) yield;
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    return `memory is not valid JSON. ${SHAPE}`;
  }
  return check.problem;
}

const HALF_CHARACTER =
  "memory contains half of a surrogate pair, which is not a character; send whole characters.";
const TWO_KEYS = "memory has an object with the same key twice; send each key once.";
const NO_FLOAT = "memory contains a number that a float cannot hold; send it as text.";
const TOO_DEEP = `memory is nested deeper than ${MAX_DEPTH} levels; send a flatter value.`;

class MemoryCheck {
  readonly #text: Buffer;
  readonly #tokens: JsonTokens;
  readonly #keys: KeyTable;
  /**
   * The numbers of the open objects, the outermost first; objects are numbered from 1 in the order of their
   * opening brackets. Inside an array, the last number is that of the object around the array.
   */
  readonly #objects: number[] = [];
  #lastObject = 0;
  #shape: string | undefined;
  #depth: string | undefined;
  /**
   * The first thing found that two readers of the text could understand differently; undefined when there is
   * none.
   */
  #ambiguity: string | undefined;

  constructor(text: Buffer) {
    this.#text = text;
    this.#tokens = new JsonTokens(text);
    this.#keys = new KeyTable(text);
  }

  get problem(): string | undefined {
    return this.#shape ?? this.#depth ?? this.#ambiguity;
  }

  /**
   * Checks the next STEP_BYTES of the memory. Returns true when the check is complete, or when the memory is
   * nested so deep that the rest does not matter.
   */
  advance(): boolean {
    const tokens = this.#tokens;
    tokens.pauseAt = tokens.position + STEP_BYTES;
    for (;;) {
      switch (tokens.next()) {
        case "key":
          this.#key();
          break;
        case "string":
          this.#value();
          if (tokens.hasLoneSurrogate) this.#ambiguity ??= HALF_CHARACTER;
          break;
        case "number":
          this.#value();
          this.#number();
          break;
        case "literal":
          this.#value();
          break;
        case "open-array":
          if (tokens.depth <= 2) this.#shape ??= SHAPE;
          if (this.#isTooDeep()) return true;
          break;
        case "open-object":
          this.#objects.push(++this.#lastObject);
          if (this.#isTooDeep()) return true;
          break;
        case "close-object":
          this.#objects.pop();
          break;
        case "pause":
          return false;
        case "end":
          return true;
      }
    }
  }

  #key(): void {
    const { start, end, hasEscapes, hasLoneSurrogate } = this.#tokens;
    if (hasLoneSurrogate) this.#ambiguity ??= HALF_CHARACTER;
    if (this.#ambiguity !== undefined) return;
    const object = this.#objects[this.#objects.length - 1] as number;
    if (!this.#keys.add(object, start, end, hasEscapes)) this.#ambiguity = TWO_KEYS;
  }

  /** Checks that a value other than an object stands neither as the memory itself nor as a category. */
  #value(): void {
    if (this.#tokens.depth < 2) this.#shape ??= SHAPE;
  }

  /**
   * Checks that a number with a fraction or an exponent is not too large for a float. An integer may have any
   * length.
   */
  #number(): void {
    const { start, end, isFloat, hasExponent } = this.#tokens;
    if (!isFloat || (!hasExponent && end - start <= MAX_FITTING_DIGITS)) return;
    const value = Number(this.#text.toString("latin1", start, end));
    if (!Number.isFinite(value)) this.#ambiguity ??= NO_FLOAT;
  }

  #isTooDeep(): boolean {
    if (this.#tokens.depth > MAX_DEPTH) this.#depth = TOO_DEEP;
    return this.#depth !== undefined;
  }
}
