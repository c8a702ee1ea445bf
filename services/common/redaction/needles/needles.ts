import { AirlockError } from "../../errors.ts";
import { atOnce } from "../../event-loop/turn.ts";
import type { Gaps } from "../automaton/gaps.ts";
import { markerFor, markerShowing, PLAIN_MARKER, shownOf } from "../markers.ts";
import type { NeedleCheck } from "./match-checks.ts";
import { bytesMeant, caseFormsOf, isHex, lineEndFormsOf, textFormsOf } from "./other-forms.ts";
import { secretNumber } from "./printed-numbers.ts";
import { type Common, NONE_COMMON, sampleAt, stretchesOf } from "./random-looking.ts";
import { SECRET_NAME } from "./secret-names.ts";
import { isWord, takenApart, textMeant } from "./secret-parts.ts";
import { base64Forms } from "./spellings/base64.ts";
import { hexForms } from "./spellings/hex.ts";
import { jsonForms } from "./spellings/json.ts";
import { utf16Forms } from "./spellings/utf16.ts";
import { cutsOf } from "./url-parts.ts";

/**
 * A sequence of bytes that must not appear in output, as it is or written with escapes, and the marker that
 * replaces it.
 */
export type Needle = {
  readonly bytes: Uint8Array;
  /** The kind of separators that may stand between the bytes. */
  readonly gaps: Gaps;
  /**
   * The condition on the surrounding text under which the found bytes count as the secret; undefined means
   * none.
   */
  readonly check: NeedleCheck;
  /** The marker that replaces the needle, as plain text. */
  readonly marker: string;
  /** The bytes of the marker, which replace the needle in text. */
  readonly replacement: Uint8Array;
  /** The marker as it is written inside a JSON string. */
  readonly inJson: string;
  /** The number of the needle's last bytes that the marker shows; 0 means none. */
  readonly tail: number;
  /** The index of the secret value that the needle was made of. */
  readonly source: number;
};

/**
 * The most bytes of all needles of a project together; with more the output is withheld. More would take
 * seconds and hundreds of megabytes to compile; a thousand secrets of 40 bytes make 3 MB.
 */
const MAX_NEEDLE_BYTES = 8 * 1024 * 1024;

/** Bytes of the largest value for which double encodings, such as Base64 of Base64, are searched for. */
const MAX_NESTED_BYTES = 128;

/**
 * The most values and parts of a project for which double encodings of its parts are searched for. Those are
 * most of the needles, and a file of a thousand lines would have more than fit into memory.
 */
const MAX_NESTED_TEXTS = 400;

/** Bytes of the largest value for which Base64 and hexadecimal digits of its UTF-16 are searched for. */
const MAX_UTF16_BYTES = 4 * 1024;

/** Bytes that Node.js prints of a long Buffer, followed by the number of further bytes. */
const INSPECTED_BYTES = 50;

/**
 * The most hexadecimal digits of a value that could look like a list of small numbers: those of eight bytes.
 * Such digits are searched for without separators only.
 */
const MAX_LISTED_DIGITS = 16;

/**
 * The number of a secret number's first digits that the automaton searches for. The rest of the number is
 * checked where these digits are found.
 */
const NUMBER_PREFIX_DIGITS = 6;

/** Digits of the longest number that a check can read to its end. */
const MAX_CHECKED_DIGITS = 40;

type Text = { readonly text: string; readonly source: number };

type Item = Text & {
  /** Whether the secret's or the part's name says that it is secret, such as `DB_PASSWORD`. */
  readonly isNamedSecret: boolean;
  /** Whether the text is a part of a secret value; false for a whole value. */
  readonly isPart: boolean;
  /** Texts and numbers inside this text that are no secret, such as hosts. */
  readonly common: Common;
};

/**
 * Makes all needles of these secret values; `names` are the secrets' names. Two needles may have the same
 * bytes and different checks, as for two numbers that begin alike. The first needle whose check passes
 * counts.
 */
export function needlesOf(values: readonly string[], names: readonly string[] = []): Needle[] {
  return atOnce(needleSteps(values, names));
}

/**
 * Makes all needles of these secret values. Yields after each text, so that other work can run. Throws
 * `output_withheld` when the needles are together too large to be searched for.
 */
export function* needleSteps(values: readonly string[], names: readonly string[]): Generator<void, Needle[]> {
  const items = itemsOf(values, names);
  yield;
  const needles = new NeedleList(
    items.map(({ text }) => text),
    items.filter(({ isPart }) => isPart).map(({ text }) => text),
  );
  for (const item of items) {
    addText(needles, item);
    yield;
  }
  // Encoded forms come last, because for equal bytes the first needle is kept, and needles of whole texts
  // have the better markers.
  const texts = new Set(items.map(({ text }) => text));
  const isNested = texts.size <= MAX_NESTED_TEXTS;
  for (const item of items) {
    // An encoded text holds the encoded form of what is within it.
    const core = item.text.trim().replace(/=+$/, "");
    if (core === item.text || !texts.has(core)) addEncoded(needles, item, isNested || !item.isPart);
    yield;
  }
  for (const item of items) addInspected(needles, item);
  for (const { text, source, isNamedSecret } of items) {
    if (isNamedSecret) for (const cut of cutsOf(text)) needles.add(cut, source);
  }
  for (const item of items) {
    addPieces(needles, item);
    yield;
  }
  return needles.all;
}

/**
 * Makes needles of whole values only. Parts of values and rounded numbers get no needles, because a script
 * could guess a part if the part were found alone. The text that a value encodes in Base64 counts as a whole
 * value.
 */
export function wholeNeedlesOf(values: readonly string[]): Needle[] {
  const needles = new NeedleList(values);
  const items = values.flatMap((value, source) => {
    const meant = textMeant(value);
    return [value, ...(meant === undefined ? [] : [meant])].map((text) => ({ text, source }));
  });
  for (const item of items) addWholeText(needles, item);
  for (const item of items) addEncoded(needles, item, true);
  return needles.all;
}

/** A needle of exactly this text, whose marker shows no characters of it. */
export function textNeedle(text: string, source: number): Needle {
  return needleOf(Buffer.from(text), source, "", {});
}

/** The texts to make needles of: first the values, then their parts. */
function itemsOf(values: readonly string[], names: readonly string[]): Item[] {
  const whole: Item[] = [];
  const parts: Item[] = [];
  values.forEach((text, source) => {
    const apart = takenApart(text, names[source] ?? "");
    whole.push({
      text,
      source,
      isNamedSecret: SECRET_NAME.test(names[source] ?? ""),
      isPart: false,
      common: apart,
    });
    for (const part of apart.parts) {
      // A part with the name of a password is secret even if it contains a text that is otherwise no secret,
      // such as a project's name.
      parts.push({ ...part, source, isPart: true, common: part.isNamedSecret ? NONE_COMMON : apart });
    }
  });
  const items = new Map<string, Item>();
  for (const item of [...whole, ...parts]) if (!items.has(item.text)) items.set(item.text, item);
  return [...items.values()];
}

function addText(needles: NeedleList, { text, source }: Text): void {
  const number = secretNumber(text);
  if (number) {
    const prefix = number.digits.slice(0, NUMBER_PREFIX_DIGITS);
    needles.add(prefix, source, { gaps: "number", check: { kind: "number", number } });
    for (const form of utf16Forms(text)) needles.add(form, source);
    // A token such as `80126e24` is a number only by chance, and no harmless number has more than 40 digits.
    // Such texts are also searched for as text.
    if (/e/i.test(text) || number.digits.length > MAX_CHECKED_DIGITS) addWholeText(needles, { text, source });
    return;
  }
  const isShortNumber = /^[+-]?[\d.]+$/.test(text);
  if (isWord(text) || isShortNumber) {
    needles.add(text, source, { check: { kind: "word" }, shows: text });
    for (const form of utf16Forms(text)) needles.add(form, source);
    return;
  }
  addWholeText(needles, { text, source });
}

/** Adds a text and its other forms, and digits also in groups. Only the complete text is found. */
function addWholeText(needles: NeedleList, { text, source }: Text): void {
  if (/^\d+$/.test(text)) needles.add(text, source, { gaps: "number" });
  for (const form of [text, ...textFormsOf(text)]) {
    // A hexadecimal key is also printed as separate bytes: `4a:6f:…`.
    const gaps = isHex(form) ? "hex" : "none";
    needles.add(form, source, { shows: form, gaps });
  }
  for (const form of caseFormsOf(text)) needles.add(form, source, { shows: form });
  for (const form of lineEndFormsOf(text)) needles.add(form, source, { shows: form });
  for (const form of utf16Forms(text)) needles.add(form, source);
}

/**
 * Adds the Base64 and the hexadecimal digits of a value, of its JSON forms, and of the bytes that it encodes;
 * also the double encodings, such as Base64 of Base64, if `isNested`.
 */
function addEncoded(needles: NeedleList, { text, source }: Text, isNested: boolean): void {
  const marker = needles.markerOf(text);
  const addBase64 = (bytes: Uint8Array) => {
    for (const form of base64Forms(bytes)) needles.add(form, source, { marker, gaps: "base64" });
  };
  const addHex = (bytes: Uint8Array) => {
    for (const form of hexForms(bytes))
      needles.add(form, source, { marker, gaps: isListOfNumbers(form) ? "none" : "hex" });
  };
  const addNested = (bytes: Buffer) => {
    if (!isNested || bytes.length > MAX_NESTED_BYTES) return;
    addBase64(Buffer.from(bytes.toString("hex")));
    for (const once of base64Forms(bytes)) {
      addBase64(Buffer.from(once));
      addHex(Buffer.from(once));
    }
  };
  const bytes = Buffer.from(text);
  // The digits of a number are not decoded as a hexadecimal key, because the digits of the key would be found
  // within other numbers.
  const meant = isCheckedNumber(text) ? undefined : bytesMeant(text);
  const forms = textFormsOf(text).map((form) => Buffer.from(form));
  for (const each of [bytes, ...forms, ...(meant ? [meant] : [])]) {
    addHex(each);
    addBase64(each);
  }
  for (const form of jsonForms(text)) addBase64(Buffer.from(form));
  if (bytes.length <= MAX_UTF16_BYTES) {
    // Windows shells take encoded commands as Base64 of UTF-16.
    addBase64(Buffer.from(text, "utf16le"));
    // SQL Server shows the bytes of its texts as hexadecimal digits of UTF-16.
    addHex(Buffer.from(text, "utf16le"));
  }
  addNested(bytes);
  if (meant && isHex(text.replaceAll("-", ""))) addNested(meant);
}

/** Whether a text is a number that is found only where it stands as that number. */
function isCheckedNumber(text: string): boolean {
  return /^\d+$/.test(text) && text.length <= MAX_CHECKED_DIGITS;
}

/**
 * Whether hexadecimal digits with separators would look like a list of small numbers: `31, 32, 33, 34, 35,
 * 36` for `123456`.
 */
function isListOfNumbers(form: string): boolean {
  return form.length <= MAX_LISTED_DIGITS && /^\d+$/.test(form);
}

/** Adds the beginning of a long value as Node.js prints it for a Buffer. */
function addInspected(needles: NeedleList, { text, source }: Text): void {
  const bytes = Buffer.from(text);
  if (bytes.length <= INSPECTED_BYTES) return;
  for (const form of hexForms(bytes.subarray(0, INSPECTED_BYTES))) {
    needles.add(form, source, { marker: needles.markerOf(text), gaps: "hex" });
  }
}

/** Adds samples, short texts of a long value, by which pieces of the value are found in output. */
function addPieces(needles: NeedleList, item: Item): void {
  const { text, source, isNamedSecret, isPart, common } = item;
  if (isCheckedNumber(text)) return;
  for (const stretch of stretchesOf(text, isNamedSecret, isPart, common)) {
    const of = Buffer.from(stretch.text);
    for (const at of stretch.samples)
      needles.add(sampleAt(stretch, at), source, { check: { kind: "piece", of, at } });
  }
}

type Options = {
  readonly gaps?: Gaps;
  readonly check?: NeedleCheck;
  /** The text whose last characters the marker shows; undefined means that the marker shows none. */
  readonly shows?: string;
  readonly marker?: string;
};

/** Collects needles without duplicates, by their bytes. */
class NeedleList {
  readonly #needles = new Map<string, Needle[]>();
  #bytes = 0;
  /**
   * Values so short that the characters shown in the marker of another value could contain them. Such a
   * marker then shows no characters.
   */
  readonly #tiny: readonly string[];
  /**
   * Parts so short that the last characters of a longer text would show much of them. The marker of such a
   * text then shows no characters.
   */
  readonly #shortParts: readonly string[];

  constructor(texts: readonly string[], parts: readonly string[] = []) {
    this.#tiny = texts.filter((text) => Buffer.byteLength(text) <= MAX_SHOWN_BYTES);
    this.#shortParts = parts.filter((part) => shownOf(part) === "");
  }

  get all(): Needle[] {
    return [...this.#needles.values()].flat();
  }

  /** The marker that replaces a text. Its characters show no other secret. */
  markerOf(text: string): string {
    return this.#showsAnother(text) ? PLAIN_MARKER : markerFor(text);
  }

  add(form: string | Buffer, source: number, options: Options = {}): void {
    const bytes = Buffer.from(form as string);
    const key = keyOf(bytes);
    if (bytes.length === 0) return;
    const known = this.#needles.get(key) ?? [];
    const isFoundAnyway = known.some(({ check }) => check === undefined || isSameCheck(check, options.check));
    if (isFoundAnyway) return;
    const { shows } = options;
    const shown = shows === undefined || this.#showsAnother(shows) ? "" : shownOf(shows);
    this.#bytes += bytes.length;
    if (this.#bytes > MAX_NEEDLE_BYTES) throw tooLarge();
    known.push(needleOf(bytes, source, shown, options));
    this.#needles.set(key, known);
  }

  #showsAnother(text: string): boolean {
    const shown = shownOf(text);
    if (shown === "") return false;
    const from = text.length - shown.length;
    return (
      this.#tiny.some((tiny) => shown.includes(tiny)) ||
      // For example, `[REDACTED...kQ2p]` would show half of the password that ends `…;Password=Zx9!kQ2p`.
      this.#shortParts.some((part) => {
        const at = text.lastIndexOf(part);
        return at >= 0 && at + part.length > from;
      })
    );
  }
}

function tooLarge(): AirlockError {
  return new AirlockError(
    "output_withheld",
    "The output is withheld because the project's secrets are together too large to be searched for. The operator gives the project fewer or shorter secrets.",
  );
}

function isSameCheck(one: NeedleCheck, other: NeedleCheck): boolean {
  if (one?.kind === "number" && other?.kind === "number")
    return one.number.canonical === other.number.canonical;
  if (one?.kind === "piece" && other?.kind === "piece") return one.at === other.at && one.of.equals(other.of);
  return one?.kind === other?.kind;
}

function needleOf(bytes: Buffer, source: number, shown: string, options: Options): Needle {
  const { gaps = "none", check } = options;
  const marker = options.marker ?? (shown === "" ? PLAIN_MARKER : markerShowing(shown));
  return {
    bytes,
    gaps,
    check,
    marker,
    replacement: Buffer.from(marker),
    inJson: inJson(marker),
    tail: Buffer.byteLength(shown),
    source,
  };
}

/** Escapes `text` for the inside of a JSON string. */
export function inJson(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/** The most bytes that a marker shows: four characters of four bytes each. */
const MAX_SHOWN_BYTES = 16;

function keyOf(bytes: Buffer): string {
  return bytes.toString("latin1");
}
