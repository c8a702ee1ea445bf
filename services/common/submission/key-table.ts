import { randomBytes } from "node:crypto";
import { type DecodePosition, decodeString } from "../json/decode-string.ts";

const PARTS = 64;
const FIRST_SLOTS = 16;
/**
 * The count of numbers that a slot of the table holds: the number of the object that has the key (0 for a
 * free slot), the key's position in the text, its length in bytes, its hash.
 */
const FIELDS = 4;
const FIRST_DECODED_BYTES = 1_024;

type Part = { slots: Int32Array; used: number };

/**
 * A hash table of the keys of all objects in one JSON text, to find duplicates without a string for each key:
 * a million keys take a tenth of a second. The table consists of 64 parts that grow one by one, so that no
 * single step takes long. The hash has a random seed, so that an attacker cannot prepare keys that collide.
 */
export class KeyTable {
  readonly #text: Uint8Array;
  readonly #parts: (Part | undefined)[] = new Array(PARTS).fill(undefined);
  readonly #seed = randomBytes(4).readInt32LE();
  /**
   * The keys with escapes, decoded, one after the other. A stored position beyond the end of the text means
   * an offset in these bytes: the position less the length of the text.
   */
  #decoded = Buffer.alloc(0);
  #decodedLength = 0;

  constructor(text: Uint8Array) {
    this.#text = text;
  }

  /**
   * Adds a key, the bytes `start` to `end` of the text, to the object with the number `object` (from 1).
   * False when the object has this key already.
   */
  add(object: number, start: number, end: number, hasEscapes: boolean): boolean {
    if (!hasEscapes) return this.#add(object, this.#text, start, start, end - start);
    const length = this.#decode(start, end);
    const from = this.#decodedLength;
    const isNew = this.#add(object, this.#decoded, from, this.#text.length + from, length);
    if (isNew) this.#decodedLength += length;
    return isNew;
  }

  /**
   * Adds a key whose bytes are the `length` bytes of `bytes` from offset `from`. The table stores `start` as
   * the key's position. False when the object has this key already.
   */
  #add(object: number, bytes: Uint8Array, from: number, start: number, length: number): boolean {
    const hash = this.#hash(object, bytes, from, length);
    const index = hash & (PARTS - 1);
    let part = this.#parts[index];
    if (!part) {
      part = { slots: new Int32Array(FIRST_SLOTS * FIELDS), used: 0 };
      this.#parts[index] = part;
    } else if (part.used * 2 >= part.slots.length / FIELDS) grow(part);
    const { slots } = part;
    let at = slotOf(slots, hash);
    for (; slots[at] !== 0; at = next(slots, at)) {
      const isSame =
        slots[at + 3] === hash &&
        slots[at] === object &&
        slots[at + 2] === length &&
        this.#isEqual(slots[at + 1] as number, start, length);
      if (isSame) return false;
    }
    slots[at] = object;
    slots[at + 1] = start;
    slots[at + 2] = length;
    slots[at + 3] = hash;
    part.used++;
    return true;
  }

  #decode(start: number, end: number): number {
    const needed = this.#decodedLength + end - start;
    if (needed > this.#decoded.length) {
      const larger = Buffer.alloc(Math.max(needed, this.#decoded.length * 2, FIRST_DECODED_BYTES));
      larger.set(this.#decoded);
      this.#decoded = larger;
    }
    const position: DecodePosition = { from: start, to: this.#decodedLength };
    decodeString(this.#text, end, this.#decoded, position);
    return position.to - this.#decodedLength;
  }

  #hash(object: number, bytes: Uint8Array, from: number, length: number): number {
    let hash = Math.imul(this.#seed ^ object, 0x9e3779b1);
    for (let at = from; at < from + length; at++) {
      hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193);
      hash ^= hash >>> 15;
    }
    hash = Math.imul(hash, 0x85ebca6b);
    return hash ^ (hash >>> 13);
  }

  #isEqual(start: number, otherStart: number, length: number): boolean {
    const [bytes, from] = this.#bytesAt(start);
    const [others, otherFrom] = this.#bytesAt(otherStart);
    for (let at = 0; at < length; at++) if (bytes[from + at] !== others[otherFrom + at]) return false;
    return true;
  }

  #bytesAt(start: number): [Uint8Array, number] {
    const inDecoded = start - this.#text.length;
    return inDecoded < 0 ? [this.#text, start] : [this.#decoded, inDecoded];
  }
}

function slotOf(slots: Int32Array, hash: number): number {
  return ((hash >>> 6) & (slots.length / FIELDS - 1)) * FIELDS;
}

function next(slots: Int32Array, at: number): number {
  return (at + FIELDS) & (slots.length - 1);
}

function grow(part: Part): void {
  const { slots } = part;
  const larger = new Int32Array(slots.length * 2);
  for (let from = 0; from < slots.length; from += FIELDS) {
    if (slots[from] === 0) continue;
    let at = slotOf(larger, slots[from + 3] as number);
    while (larger[at] !== 0) at = next(larger, at);
    for (let field = 0; field < FIELDS; field++) larger[at + field] = slots[from + field] as number;
  }
  part.slots = larger;
}
