import type { NumberIndex } from "./number-index.ts";
import { MIN_PIECE_CHARACTERS } from "./padding.ts";
import { numberAt, type SecretNumber } from "./printed-numbers.ts";

type Word = { readonly kind: "word" };
type Piece = { readonly kind: "piece"; readonly of: Buffer; readonly at: number };

/**
 * The condition on the surrounding text under which a match of a needle counts. A word must stand alone. A
 * number must be written completely and be this number. A sample, which begins at the offset `at` of a
 * secret's text `of`, must be inside a longer piece of this text. Undefined means no condition.
 */
export type NeedleCheck =
  | Word
  | { readonly kind: "number"; readonly number: SecretNumber }
  | Piece
  | undefined;

/**
 * The condition for a pattern of the automaton, which several needles may share. Numbers that begin with the
 * same digits share a pattern; the printed number is looked up in `numbers`, an index whose items are indexes
 * of needles.
 */
export type MatchCheck =
  | Word
  | { readonly kind: "number"; readonly numbers: NumberIndex<number> }
  | Piece
  | undefined;

/** The bytes in and around a match that a check may read. */
type Surroundings = {
  /** The bytes before the match. */
  readonly before: Uint8Array;
  /** The bytes from the match's beginning on: the match and the bytes after it. */
  readonly from: Uint8Array;
  /** The number of bytes of the match. */
  readonly matchBytes: number;
};

/**
 * The most bytes that a piece of a long secret may have before the first sample (a short text by which pieces
 * are found).
 */
const MAX_BEFORE_SAMPLE = MIN_PIECE_CHARACTERS - 1;

/** Bytes of the longest escape, with zeros after it, that is recognized before a match. */
const MAX_ESCAPE_BEFORE = 32;

/** Bytes of the longest printed number. */
const MAX_NUMBER_BYTES = 64;

const CONTINUES_NUMBER = new Uint8Array(256);
for (const byte of Buffer.from("0123456789.,_'+-eE \u00a0\u2009\u2019\u202f")) CONTINUES_NUMBER[byte] = 1;

const CONTINUES_WORD = /[\p{L}\p{N}_]/u;

/**
 * The largest numbers of bytes that a check of this kind may read before a match (`before`) and after the
 * match (`behind`).
 */
export function checkedBytes(check: MatchCheck): { readonly before: number; readonly behind: number } {
  if (check?.kind === "piece") return { before: MAX_BEFORE_SAMPLE, behind: check.of.length - check.at };
  return { before: MAX_ESCAPE_BEFORE, behind: MAX_NUMBER_BYTES };
}

/**
 * Whether enough bytes after a match have arrived to check it. The match has `matchBytes` bytes and ends at
 * the offset `at` of `text`.
 */
export function isKnownBehind(check: MatchCheck, text: Uint8Array, at: number, matchBytes: number): boolean {
  switch (check?.kind) {
    case "number":
      for (let next = at; next < at + MAX_NUMBER_BYTES; next++) {
        if (next >= text.length) return false;
        if (CONTINUES_NUMBER[text[next] as number] === 0) return true;
      }
      return true;
    case "piece": {
      const goesOn = check.at + matchBytes;
      for (let next = goesOn; next < check.of.length; next++) {
        const place = at + next - goesOn;
        if (place >= text.length) return false;
        if (text[place] !== check.of[next]) return true;
      }
      return true;
    }
    default:
      return at < text.length && at + characterBytes(text[at] as number) <= text.length;
  }
}

/** The number of bytes of the UTF-8 character that begins with this byte. */
function characterBytes(first: number): number {
  if (first < 0xc0) return 1;
  return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/**
 * The result of a check that passed: the number of bytes, from the match's beginning, that belong to the
 * secret, and the index of the secret's needle. An undefined needle means the one that was checked.
 */
export type Meant = { readonly bytes: number; readonly needle?: number };

/**
 * Checks a match. Undefined when the match is no secret, such as `postgres` in `postgresql`. Bytes before the
 * match never count as part of the secret, because they may have been sent on already.
 */
export function meantBy(check: MatchCheck, around: Surroundings): Meant | undefined {
  switch (check?.kind) {
    case "number":
      return meantNumber(check.numbers, around);
    case "piece":
      return pieceBytes(check, around);
    default:
      return wordBytes(around);
  }
}

/** The beginning of a terminal's control sequence, plain or escaped. */
const CONTROL = String.raw`(?:\x1b|\\x1b|\\u001b|\\033|\\e|%1b)`;

/**
 * An escape or control sequence directly before a word or a number, such as `\\n`, `\\u0022`, `\\251`, `%22`
 * or `ESC [31m`. The escape's letters and digits do not belong to the word or number. Zeros of the number may
 * stand between.
 */
const ESCAPE_BEFORE = new RegExp(
  String.raw`(?:\\(?:[abefnrtv]|u[0-9a-f]{4}|U[0-9a-f]{8}|x[0-9a-f]{2}|[0-3][0-7]{2})|%(?:25){0,2}[0-9a-f]{2}|%u[0-9a-f]{4}` +
    String.raw`|_x[0-9a-f]{4}_|(?:\[|%5b)(?:[\d;]|%3b)*m|${CONTROL}(?:(?:\[|%5b)[0-?]*[ -/]*[@-~]|[()][0-9A-B]))(0*)$`,
  "i",
);

/**
 * An escape of quoted-printable directly before a word or a number. Quoted-printable escapes blanks,
 * punctuation and characters beyond ASCII, but no letters and digits. So `=AB` in `x=ABcde` and `=12` in
 * `total=12345` are no escapes.
 */
const QUOTED_BEFORE =
  /=(?:0[9AD]|2[0-9A-F]|3[A-F]|40|5[B-F]|60|7[B-E]|[89A-F][0-9A-F](?:=[89A-F][0-9A-F])+)(0*)$/i;
/** Two decimal digits after `=` are more likely the beginning of a longer number than an escape. */
const TWO_DIGITS_BEFORE = /=\d\d0*$/;

function leftOf(before: Uint8Array): string {
  return Buffer.from(before).toString().replace(ESCAPE_BEFORE, "=$1");
}

function leftOfWord(before: Uint8Array): string {
  return leftOf(before).replace(QUOTED_BEFORE, "=$1");
}

function leftOfNumber(before: Uint8Array): string {
  const left = leftOf(before);
  return TWO_DIGITS_BEFORE.test(left) ? left : left.replace(QUOTED_BEFORE, "=$1");
}

function wordBytes({ before, from, matchBytes }: Surroundings): Meant | undefined {
  const last = leftOfWord(before).slice(-1);
  const [next = ""] = Buffer.from(from.subarray(matchBytes)).toString();
  return CONTINUES_WORD.test(last) || CONTINUES_WORD.test(next) ? undefined : { bytes: matchBytes };
}

function meantNumber(numbers: NumberIndex<number>, { before, from }: Surroundings): Meant | undefined {
  const left = leftOfNumber(before);
  const right = Buffer.from(from).toString();
  const found = numberAt(left + right, left.length, (plain) => numbers.find(plain));
  if (found === undefined) return undefined;
  return { bytes: Buffer.byteLength(right.slice(0, found.end - left.length)), needle: found.item };
}

function pieceBytes(
  piece: { readonly of: Buffer; readonly at: number },
  around: Surroundings,
): Meant | undefined {
  const { before, from, matchBytes } = around;
  const { of, at } = piece;
  let ahead = 0;
  while (ahead < at && ahead < before.length && before[before.length - 1 - ahead] === of[at - 1 - ahead])
    ahead++;
  let end = matchBytes;
  while (at + end < of.length && end < from.length && from[end] === of[at + end]) end++;
  return ahead + end >= MIN_PIECE_CHARACTERS ? { bytes: end } : undefined;
}
