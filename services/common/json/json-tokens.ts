/**
 * The kinds of tokens in JSON text. "pause" is no token: the reader has reached `pauseAt` and the text goes
 * on. "end" means that the text is complete.
 */
export type JsonToken =
  | "key"
  | "string"
  | "number"
  | "literal"
  | "open-object"
  | "close-object"
  | "open-array"
  | "close-array"
  | "pause"
  | "end";

export class JsonSyntaxError extends Error {
  /** The byte at which the text stops being JSON. */
  readonly at: number;

  constructor(at: number) {
    super("not JSON");
    this.at = at;
  }
}

/** The error for a text that is empty or has nothing but white space. */
export class JsonEmptyError extends JsonSyntaxError {}

type Expect = "value" | "first-value" | "first-key" | "key" | "after-value";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OBJECT = 1;
const ARRAY = 0;

const LITERALS: Readonly<Record<number, Buffer>> = {
  116: Buffer.from("true"),
  102: Buffer.from("false"),
  110: Buffer.from("null"),
};

/** For each byte value, 1 when that byte stands for itself inside a JSON string, otherwise 0. */
const PLAIN = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x20 && byte !== QUOTE && byte !== BACKSLASH ? 1 : 0,
);
/**
 * For each byte value, 1 when that byte may follow a backslash, otherwise 0; also 0 for `u`, which `#escape`
 * reads itself.
 */
const SIMPLE_ESCAPE = new Uint8Array(256);
for (const letter of '"\\/bfnrt') SIMPLE_ESCAPE[letter.charCodeAt(0)] = 1;

/**
 * Reads strict JSON (RFC 8259) token by token, without decoding strings or numbers. Throws a JsonSyntaxError
 * where the text is not JSON. The caller must make sure that the text is UTF-8, because the bytes of
 * characters beyond ASCII are not checked.
 */
export class JsonTokens {
  /** Byte offset of the last token's first byte; of a string or key, of the byte after the opening quote. */
  start = 0;
  /** Byte offset just after the last token; of a string or key, of the closing quote. */
  end = 0;
  /** Whether the last string or key contains a backslash. */
  hasEscapes = false;
  /**
   * Whether the last string or key has an escaped half of a surrogate pair (such as `\ud800`) without the
   * other half.
   */
  hasLoneSurrogate = false;
  /** Whether the last number has a fraction or an exponent. */
  isFloat = false;
  /** Whether the last number has an exponent. */
  hasExponent = false;
  /**
   * Byte offset at which `next()` returns "pause", or a little later, so that one call takes a bounded time.
   * Infinity means no pause.
   */
  pauseAt = Number.POSITIVE_INFINITY;
  readonly #text: Uint8Array;
  #at = 0;
  #expect: Expect = "value";
  #inString = false;
  #isKey = false;
  /** For each open bracket, whether it belongs to an object (1) or an array (0). */
  #brackets = new Uint8Array(64);
  #depth = 0;

  constructor(text: Uint8Array, at = 0) {
    this.#text = text;
    this.#at = at;
  }

  /** The number of open brackets. */
  get depth(): number {
    return this.#depth;
  }

  /** The number of bytes that have been read. */
  get position(): number {
    return this.#at;
  }

  next(): JsonToken {
    if (this.#inString) return this.#string();
    for (;;) {
      if (this.#at >= this.pauseAt) return "pause";
      const byte = this.#skipSpace(this.pauseAt);
      if (this.#at >= this.pauseAt) return "pause";
      switch (this.#expect) {
        case "after-value": {
          if (this.#depth === 0) {
            if (byte !== undefined) throw this.#error();
            return "end";
          }
          const inObject = this.#brackets[this.#depth - 1] === OBJECT;
          if (byte === 0x2c) {
            this.#at++;
            this.#expect = inObject ? "key" : "value";
            continue;
          }
          if (byte !== (inObject ? 0x7d : 0x5d)) throw this.#error();
          return this.#close();
        }
        case "first-key":
        case "key":
          if (byte === QUOTE) return this.#openString(true);
          if (byte !== 0x7d || this.#expect === "key") throw this.#error();
          return this.#close();
        default:
          return this.#value(byte);
      }
    }
  }

  #value(byte: number | undefined): JsonToken {
    if (byte === QUOTE) return this.#openString(false);
    if (byte === 0x7b) return this.#open(OBJECT);
    if (byte === 0x5b) return this.#open(ARRAY);
    if (byte === 0x5d && this.#expect === "first-value") return this.#close();
    if (byte === undefined && this.#depth === 0) throw new JsonEmptyError(this.#at);
    this.#expect = "after-value";
    this.start = this.#at;
    const literal = byte === undefined ? undefined : LITERALS[byte];
    if (!literal) return this.#number();
    for (const expected of literal) {
      if (this.#text[this.#at] !== expected) throw this.#error();
      this.#at++;
    }
    this.end = this.#at;
    return "literal";
  }

  #open(kind: typeof OBJECT | typeof ARRAY): JsonToken {
    if (this.#depth === this.#brackets.length) {
      const larger = new Uint8Array(this.#depth * 2);
      larger.set(this.#brackets);
      this.#brackets = larger;
    }
    this.#brackets[this.#depth++] = kind;
    this.start = this.#at++;
    this.end = this.#at;
    this.#expect = kind === OBJECT ? "first-key" : "first-value";
    return kind === OBJECT ? "open-object" : "open-array";
  }

  #close(): JsonToken {
    this.start = this.#at++;
    this.end = this.#at;
    this.#expect = "after-value";
    return this.#brackets[--this.#depth] === OBJECT ? "close-object" : "close-array";
  }

  #openString(isKey: boolean): JsonToken {
    this.start = ++this.#at;
    this.hasEscapes = false;
    this.hasLoneSurrogate = false;
    this.#inString = true;
    this.#isKey = isKey;
    return this.#string();
  }

  #string(): JsonToken {
    const text = this.#text;
    const stop = Math.min(text.length, this.pauseAt);
    let at = this.#at;
    for (;;) {
      while (at < stop && PLAIN[text[at] as number] === 1) at++;
      if (at >= stop && at < text.length) {
        this.#at = at;
        return "pause";
      }
      const byte = text[at];
      if (byte === QUOTE) break;
      if (byte !== BACKSLASH) throw new JsonSyntaxError(at);
      this.hasEscapes = true;
      at = this.#escape(at + 1);
    }
    this.end = at;
    this.#at = at + 1;
    this.#inString = false;
    if (!this.#isKey) {
      this.#expect = "after-value";
      return "string";
    }
    if (this.#skipSpace() !== 0x3a) throw this.#error();
    this.#at++;
    this.#expect = "value";
    return "key";
  }

  #escape(at: number): number {
    const text = this.#text;
    if (text[at] !== 0x75) {
      if (SIMPLE_ESCAPE[text[at] ?? 0] !== 1) throw new JsonSyntaxError(at);
      return at + 1;
    }
    const unit = codeUnit(text, at + 1);
    if (unit === -1) throw new JsonSyntaxError(at);
    if (unit < 0xd800 || unit > 0xdfff) return at + 5;
    const low =
      unit < 0xdc00 && text[at + 5] === BACKSLASH && text[at + 6] === 0x75 ? codeUnit(text, at + 7) : -1;
    if (low >= 0xdc00 && low <= 0xdfff) return at + 11;
    this.hasLoneSurrogate = true;
    return at + 5;
  }

  #number(): JsonToken {
    const text = this.#text;
    this.isFloat = false;
    this.hasExponent = false;
    if (text[this.#at] === 0x2d) this.#at++;
    if (text[this.#at] === 0x30) this.#at++;
    else this.#digits();
    if (text[this.#at] === 0x2e) {
      this.isFloat = true;
      this.#at++;
      this.#digits();
    }
    if (((text[this.#at] ?? 0) | 0x20) === 0x65) {
      this.isFloat = true;
      this.hasExponent = true;
      this.#at++;
      if (text[this.#at] === 0x2b || text[this.#at] === 0x2d) this.#at++;
      this.#digits();
    }
    this.end = this.#at;
    return "number";
  }

  #digits(): void {
    const text = this.#text;
    const first = this.#at;
    let at = first;
    while (isDigit(text[at] ?? 0)) at++;
    this.#at = at;
    if (at === first) throw this.#error();
  }

  /**
   * Skips white space up to the offset `stop`. Returns the byte at the offset that was reached; undefined at
   * the end of the text.
   */
  #skipSpace(stop = Number.POSITIVE_INFINITY): number | undefined {
    const text = this.#text;
    let at = this.#at;
    while (at < stop && isSpace(text[at])) at++;
    this.#at = at;
    return text[at];
  }

  #error(): JsonSyntaxError {
    return new JsonSyntaxError(this.#at);
  }
}

/** The four hexadecimal digits from offset `at` on as a number; -1 when they are not four such digits. */
export function codeUnit(text: Uint8Array, at: number): number {
  let unit = 0;
  for (let digit = at; digit < at + 4; digit++) {
    const byte = text[digit] ?? 0;
    const letter = byte | 0x20;
    if (isDigit(byte)) unit = unit * 16 + byte - 0x30;
    else if (letter >= 0x61 && letter <= 0x66) unit = unit * 16 + letter - 0x57;
    else return -1;
  }
  return unit;
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}
