import { type DecodePosition, decodeString } from "#common/json/decode-string.ts";
import { type JsonToken, JsonTokens } from "#common/json/json-tokens.ts";

/** Bytes of JSON that are read in one step, which takes about a millisecond for any content. */
const STEP_BYTES = 32 * 1024;
/** Bytes of the longest string with escapes that is decoded at once; a longer one is decoded in steps. */
const SHORT_STRING_BYTES = 64 * 1024;
/**
 * Stands for a long string that holds half of a surrogate pair. Every route refuses this value, as it would
 * refuse the string itself.
 */
const HALF_CHARACTER = "\ud800";

/** A member of the outermost object: its key, and the byte range of its value. */
export type JsonMember = {
  readonly key: string;
  readonly start: number;
  readonly end: number;
  /**
   * The parsed value, if it is an object to its second level. An object or array that is nested deeper is
   * empty here.
   */
  readonly value: unknown;
  /**
   * Keys that occur more than once in the value, if it is an object, among the members that are added to the
   * outline.
   */
  readonly twice: ReadonlySet<string>;
};

export type JsonOutline =
  | {
      readonly kind: "object";
      readonly members: readonly JsonMember[];
      /** Keys that occur more than once in the object. */
      readonly twice: ReadonlySet<string>;
    }
  | { readonly kind: "array" | "string" | "number" | "boolean" | "null" };

/**
 * Limits of a JSON text: its levels of nesting (`depth`), and how many members of the outermost object
 * (`outer`) and of a nested object (`inner`) are all added to the outline.
 */
export type OutlineLimits = { readonly depth: number; readonly outer: number; readonly inner: number };

export class TooDeep extends Error {}

/**
 * Makes the outline of a JSON text in one pass and in steps, without building all values. The text of a
 * number keeps every digit, and millions of brackets or keys cost little. The value of an outermost member is
 * built to its second level. In an object with more members than its limit, a further member is built only
 * when its type has not occurred before. Throws a JsonSyntaxError or TooDeep.
 */
export function* outlineJson(text: Buffer, limits: OutlineLimits): Generator<void, JsonOutline> {
  const tokens = new JsonTokens(text);
  const outer = new OutlinedObject(text, limits.outer);
  let inner: OutlinedObject | undefined;
  let root: JsonToken | undefined;
  let start = 0;
  tokens.pauseAt = STEP_BYTES;
  for (;;) {
    const token = tokens.next();
    if (token === "end") break;
    if (token === "pause") {
      yield;
      tokens.pauseAt = tokens.position + STEP_BYTES;
      continue;
    }
    root ??= token;
    const { depth } = tokens;
    if (depth > limits.depth) throw new TooDeep();
    switch (token) {
      case "key":
        if (depth === 1) outer.at(tokens);
        else if (depth === 2) inner?.at(tokens);
        break;
      case "string":
      case "number":
      case "literal": {
        const object = depth === 1 ? outer : depth === 2 ? inner : undefined;
        if (!object?.takes(token)) break;
        const edge = token === "string" ? 1 : 0;
        const [from, to] = [tokens.start - edge, tokens.end + edge];
        yield* object.add(yield* scalar(token, text, tokens), from, to);
        break;
      }
      case "open-object":
      case "open-array":
        if (depth === 2) {
          start = tokens.start;
          inner = token === "open-object" ? new OutlinedObject(text, limits.inner) : undefined;
        } else if (depth === 3 && inner?.takes(token)) {
          yield* inner.add(token === "open-object" ? {} : [], tokens.start, tokens.end);
        }
        break;
      default:
        if (depth === 1 && outer.takes(token)) {
          yield* outer.add(inner ? inner.value() : [], start, tokens.end, inner?.twice);
        }
        if (depth === 1) inner = undefined;
    }
  }
  if (root === "open-object") return { kind: "object", members: outer.members, twice: outer.twice };
  return { kind: kindOf(root, text[tokens.start]) };
}

/** Collects the members of an object, up to its limit. */
class OutlinedObject {
  readonly members: JsonMember[] = [];
  /** Keys that occur more than once in the object. */
  readonly twice = new Set<string>();
  readonly #text: Buffer;
  readonly #limit: number;
  readonly #kinds = new Set<JsonToken>();
  readonly #keys = new Set<string>();
  #keyStart = 0;
  #keyEnd = 0;
  #keyEscapes = false;

  constructor(text: Buffer, limit: number) {
    this.#text = text;
    this.#limit = limit;
  }

  /**
   * Remembers where the key of the next value is in the text, because it is decoded only when that value is
   * added.
   */
  at({ start, end, hasEscapes }: JsonTokens): void {
    this.#keyStart = start;
    this.#keyEnd = end;
    this.#keyEscapes = hasEscapes;
  }

  /**
   * Whether the next value, of the type `kind`, is to be added: below the limit each, beyond it the first of
   * each type.
   */
  takes(kind: JsonToken): boolean {
    if (this.members.length > this.#limit && this.#kinds.has(kind)) return false;
    this.#kinds.add(kind);
    return true;
  }

  *add(value: unknown, start: number, end: number, twice: ReadonlySet<string> = new Set()): Generator<void> {
    const key = yield* string(this.#text, this.#keyStart, this.#keyEnd, this.#keyEscapes);
    if (this.#keys.has(key)) this.twice.add(key);
    this.#keys.add(key);
    this.members.push({ key, start, end, value, twice });
  }

  value(): Readonly<Record<string, unknown>> {
    return objectOf(this.members);
  }
}

/** Builds an object from members. A member named `__proto__` becomes an ordinary property. */
export function objectOf(members: readonly JsonMember[]): Record<string, unknown> {
  const object: Record<string, unknown> = Object.create(null);
  for (const { key, value } of members) object[key] = value;
  return object;
}

function* scalar(
  token: "string" | "number" | "literal",
  text: Buffer,
  { start, end, hasEscapes }: JsonTokens,
): Generator<void, unknown> {
  if (token === "string") return yield* string(text, start, end, hasEscapes);
  return JSON.parse(text.toString("latin1", start, end));
}

function* string(text: Buffer, start: number, end: number, hasEscapes: boolean): Generator<void, string> {
  if (!hasEscapes) return text.toString("utf8", start, end);
  if (end - start <= SHORT_STRING_BYTES) return JSON.parse(text.toString("utf8", start - 1, end + 1));
  const decoded = Buffer.allocUnsafe(end - start);
  const position: DecodePosition = { from: start, to: 0, hasLoneSurrogate: false };
  while (position.from < end) {
    decodeString(text, end, decoded, position, STEP_BYTES);
    yield;
  }
  return position.hasLoneSurrogate ? HALF_CHARACTER : decoded.toString("utf8", 0, position.to);
}

function kindOf(
  root: JsonToken | undefined,
  first: number | undefined,
): Exclude<JsonOutline["kind"], "object"> {
  if (root === "string" || root === "number") return root;
  if (root !== "literal") return "array";
  return first === 0x6e ? "null" : "boolean";
}
