/** The tokens that can hold a secret, and those that say which keys belong to one object. */
export type JsonToken = "key" | "string" | "number" | "open-object" | "close-object" | "end";

export class JsonSyntaxError extends Error {}

type Expect = "value" | "first-value" | "first-key" | "key" | "after-value";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LITERALS: Readonly<Record<number, Buffer>> = {
  116: Buffer.from("true"),
  102: Buffer.from("false"),
  110: Buffer.from("null"),
};

/** Reads strict JSON (RFC 8259) token by token without decoding it; throws a JsonSyntaxError where it is not. */
export class JsonTokens {
  /** Where the last token stands; for strings without the quotes. */
  start = 0;
  end = 0;
  hasEscapes = false;
  readonly #text: Uint8Array;
  #at = 0;
  #expect: Expect = "value";
  /** For each open bracket whether it is an object. */
  readonly #objects: boolean[] = [];

  constructor(text: Uint8Array) {
    this.#text = text;
  }

  next(): JsonToken {
    for (;;) {
      const byte = this.#skipSpace();
      if (this.#expect === "after-value") {
        if (this.#objects.length === 0) {
          if (byte !== undefined) throw new JsonSyntaxError();
          return "end";
        }
        const inObject = this.#objects[this.#objects.length - 1] as boolean;
        this.#at++;
        if (byte === 0x2c) this.#expect = inObject ? "key" : "value";
        else if (byte === (inObject ? 0x7d : 0x5d)) {
          this.#objects.pop();
          if (inObject) return "close-object";
        } else throw new JsonSyntaxError();
      } else if (this.#expect === "first-key" || this.#expect === "key") {
        if (byte === QUOTE) return this.#key();
        if (byte !== 0x7d || this.#expect === "key") throw new JsonSyntaxError();
        this.#at++;
        this.#objects.pop();
        this.#expect = "after-value";
        return "close-object";
      } else {
        const token = this.#value(byte);
        if (token) return token;
      }
    }
  }

  #value(byte: number | undefined): JsonToken | undefined {
    if (byte === QUOTE) {
      this.#string();
      this.#expect = "after-value";
      return "string";
    }
    if (byte === 0x7b || byte === 0x5b) {
      this.#at++;
      this.#objects.push(byte === 0x7b);
      this.#expect = byte === 0x7b ? "first-key" : "first-value";
      return byte === 0x7b ? "open-object" : undefined;
    }
    if (byte === 0x5d && this.#expect === "first-value") {
      this.#at++;
      this.#objects.pop();
      this.#expect = "after-value";
      return undefined;
    }
    this.#expect = "after-value";
    const literal = byte === undefined ? undefined : LITERALS[byte];
    if (!literal) return this.#number();
    for (const expected of literal) {
      if (this.#text[this.#at++] !== expected) throw new JsonSyntaxError();
    }
    return undefined;
  }

  #key(): JsonToken {
    this.#string();
    if (this.#skipSpace() !== 0x3a) throw new JsonSyntaxError();
    this.#at++;
    this.#expect = "value";
    return "key";
  }

  #string(): void {
    const text = this.#text;
    let at = this.#at + 1;
    this.start = at;
    this.hasEscapes = false;
    for (;;) {
      const byte = text[at];
      if (byte === QUOTE) break;
      if (byte === BACKSLASH) {
        this.hasEscapes = true;
        at = this.#escape(at + 1);
      } else if (byte === undefined || byte < 0x20) throw new JsonSyntaxError();
      else at++;
    }
    this.end = at;
    this.#at = at + 1;
  }

  #escape(at: number): number {
    const text = this.#text;
    if (text[at] !== 0x75) {
      if (!'"\\/bfnrt'.includes(String.fromCharCode(text[at] ?? 0))) throw new JsonSyntaxError();
      return at + 1;
    }
    for (let digit = at + 1; digit <= at + 4; digit++) {
      const byte = text[digit] ?? 0;
      const letter = byte | 0x20;
      if (!isDigit(byte) && (letter < 0x61 || letter > 0x66)) throw new JsonSyntaxError();
    }
    return at + 5;
  }

  #number(): JsonToken {
    const text = this.#text;
    this.start = this.#at;
    if (text[this.#at] === 0x2d) this.#at++;
    if (text[this.#at] === 0x30) this.#at++;
    else this.#digits();
    if (text[this.#at] === 0x2e) {
      this.#at++;
      this.#digits();
    }
    if (((text[this.#at] ?? 0) | 0x20) === 0x65) {
      this.#at++;
      if (text[this.#at] === 0x2b || text[this.#at] === 0x2d) this.#at++;
      this.#digits();
    }
    this.end = this.#at;
    return "number";
  }

  #digits(): void {
    const first = this.#at;
    while (isDigit(this.#text[this.#at] ?? 0)) this.#at++;
    if (this.#at === first) throw new JsonSyntaxError();
  }

  #skipSpace(): number | undefined {
    for (;;) {
      const byte = this.#text[this.#at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return byte;
      this.#at++;
    }
  }
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}
