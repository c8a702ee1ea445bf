import { AirlockError } from "../../errors.ts";
import { atOnce } from "../../event-loop/turn.ts";
import type { Gaps } from "../automaton/gaps.ts";
import { markerFor, markerShowing, PLAIN_MARKER, shownOf } from "../markers.ts";
import type { NeedleCheck } from "./match-checks.ts";
import { bytesMeant, isHex, lineEndFormsOf, textFormsOf } from "./other-forms.ts";
import { secretNumber } from "./printed-numbers.ts";
import { sampleAt, stretchesOf } from "./random-looking.ts";
import { SECRET_NAME } from "./secret-names.ts";
import { isWord, takenApart, textMeant } from "./secret-parts.ts";
import { base64Forms } from "./spellings/base64.ts";
import { hexForms } from "./spellings/hex.ts";
import { jsonForms } from "./spellings/json.ts";
import { utf16Forms } from "./spellings/utf16.ts";
import { cutsOf } from "./url-parts.ts";

/** A run of bytes that must not leave, as it is or with escapes, and what leaves in its place. */
export type Needle = {
  readonly bytes: Uint8Array;
  /** What may stand between the bytes. */
  readonly gaps: Gaps;
  /** What must hold around the bytes before they are the secret's. */
  readonly check: NeedleCheck;
  /** The marker as plain text. */
  readonly marker: string;
  /** The marker as it is written where the needle stood. */
  readonly replacement: Uint8Array;
  /** The same inside a JSON string. */
  readonly inJson: string;
  /** How many of its last bytes the marker shows. */
  readonly tail: number;
  /** Which of the values it was made of. */
  readonly source: number;
};

/** More would take seconds and hundreds of megabytes to compile; a thousand secrets of 40 bytes make 3 MB. */
const MAX_NEEDLE_BYTES = 8 * 1024 * 1024;

/** Base64 of Base64 and the like are looked for of values up to this size. */
const MAX_NESTED_BYTES = 128;

/** Node.js prints so many bytes of a Buffer, and how many more there are. */
const INSPECTED_BYTES = 50;

/** Hexadecimal digits of eight characters. */
const MAX_LISTED_DIGITS = 16;

/** Digits that are looked for of a number; how it goes on is checked where they stand. */
const NUMBER_PREFIX_DIGITS = 6;

/** Of a longer number what follows the first digits is more than a check looks at. */
const MAX_CHECKED_DIGITS = 40;

type Text = { readonly text: string; readonly source: number };

type Item = Text & {
  readonly isNamedSecret: boolean;
  readonly isPart: boolean;
  /** What stands in the text and is no secret. */
  readonly commonTexts: readonly string[];
};

/**
 * All needles of these secret values. Those with equal bytes differ in their checks, such as two numbers that begin alike; the first whose check
 * holds counts. `names` are the secrets'.
 */
export function needlesOf(values: readonly string[], names: readonly string[] = []): Needle[] {
  return atOnce(needleSteps(values, names));
}

/** The same in steps. Throws `output_withheld` when the needles are too many to be looked for. */
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
  // After all that is looked for as a whole, which has the better markers.
  for (const item of items) {
    addEncoded(needles, item);
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
 * The needles of whole values alone: a part that is found by itself can be guessed by itself, and so can the digits of a
 * number that is found rounded. The text that a value in Base64 stands for is as much as the value.
 */
export function wholeNeedlesOf(values: readonly string[]): Needle[] {
  const needles = new NeedleList(values);
  const items = values.flatMap((value, source) => {
    const meant = textMeant(value);
    return [value, ...(meant === undefined ? [] : [meant])].map((text) => ({ text, source }));
  });
  for (const item of items) addWholeText(needles, item);
  for (const item of items) addEncoded(needles, item);
  return needles.all;
}

/** A needle of this text alone, whose marker shows nothing. */
export function textNeedle(text: string, source: number): Needle {
  return needleOf(Buffer.from(text), source, "", {});
}

/** The values first, then their parts. */
function itemsOf(values: readonly string[], names: readonly string[]): Item[] {
  const whole: Item[] = [];
  const parts: Item[] = [];
  values.forEach((text, source) => {
    const apart = takenApart(text);
    const { commonTexts } = apart;
    whole.push({
      text,
      source,
      isNamedSecret: SECRET_NAME.test(names[source] ?? ""),
      isPart: false,
      commonTexts,
    });
    for (const part of apart.parts) {
      // What is called a password is one, also if it holds the name of a project.
      parts.push({ ...part, source, isPart: true, commonTexts: part.isNamedSecret ? [] : commonTexts });
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
    // A token such as `80126e24` is a number by chance, and nothing harmless has so many digits: each is found as it is too.
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

/** A text as it is and in its other forms; digits also in groups. Nothing less than all of it is found. */
function addWholeText(needles: NeedleList, { text, source }: Text): void {
  if (/^\d+$/.test(text)) needles.add(text, source, { gaps: "number" });
  for (const form of [text, ...textFormsOf(text)]) {
    // A key in hexadecimal is printed as bytes too: `4a:6f:…`.
    const gaps = isHex(form) ? "hex" : "none";
    needles.add(form, source, { shows: form, gaps });
  }
  for (const form of lineEndFormsOf(text)) needles.add(form, source, { shows: form });
  for (const form of utf16Forms(text)) needles.add(form, source);
}

/** What is made of a value by Base64 and hexadecimal digits, of its JSON, and of the bytes that it stands for. */
function addEncoded(needles: NeedleList, { text, source }: Text): void {
  const marker = needles.markerOf(text);
  const addBase64 = (bytes: Uint8Array) => {
    for (const form of base64Forms(bytes)) needles.add(form, source, { marker, gaps: "base64" });
  };
  const addHex = (bytes: Uint8Array) => {
    for (const form of hexForms(bytes))
      needles.add(form, source, { marker, gaps: isListOfNumbers(form) ? "none" : "hex" });
  };
  const addNested = (bytes: Buffer) => {
    if (bytes.length > MAX_NESTED_BYTES) return;
    addBase64(Buffer.from(bytes.toString("hex")));
    for (const once of base64Forms(bytes)) {
      addBase64(Buffer.from(once));
      addHex(Buffer.from(once));
    }
  };
  const bytes = Buffer.from(text);
  const meant = bytesMeant(text);
  const forms = textFormsOf(text).map((form) => Buffer.from(form));
  for (const each of [bytes, ...forms, ...(meant ? [meant] : [])]) {
    addHex(each);
    addBase64(each);
  }
  for (const form of jsonForms(text)) addBase64(Buffer.from(form));
  // Shells of Windows take their commands so.
  addBase64(Buffer.from(text, "utf16le"));
  // SQL Server shows its texts so as bytes.
  addHex(Buffer.from(text, "utf16le"));
  addNested(bytes);
  if (meant && isHex(text.replaceAll("-", ""))) addNested(meant);
}

/** Whether hexadecimal digits with signs between them are rather a list of a few small numbers: `31, 32, 33, 34, 35, 36` for `123456`. */
function isListOfNumbers(form: string): boolean {
  return form.length <= MAX_LISTED_DIGITS && /^\d+$/.test(form);
}

/** The beginning that Node.js prints of a long buffer. */
function addInspected(needles: NeedleList, { text, source }: Text): void {
  const bytes = Buffer.from(text);
  if (bytes.length <= INSPECTED_BYTES) return;
  for (const form of hexForms(bytes.subarray(0, INSPECTED_BYTES))) {
    needles.add(form, source, { marker: needles.markerOf(text), gaps: "hex" });
  }
}

/** The samples by which pieces of a long value are found. */
function addPieces(needles: NeedleList, item: Item): void {
  const { text, source, isNamedSecret, isPart, commonTexts } = item;
  for (const stretch of stretchesOf(text, isNamedSecret, isPart, commonTexts)) {
    const of = Buffer.from(stretch.text);
    for (const at of stretch.samples)
      needles.add(sampleAt(stretch, at), source, { check: { kind: "piece", of, at } });
  }
}

type Options = {
  readonly gaps?: Gaps;
  readonly check?: NeedleCheck;
  /** The text whose last characters the marker shows, as they are written. */
  readonly shows?: string;
  readonly marker?: string;
};

/** Needles by their bytes. */
class NeedleList {
  readonly #needles = new Map<string, Needle[]>();
  #bytes = 0;
  /** Values so short that they could stand in the marker of another. */
  readonly #tiny: readonly string[];
  /** Parts so short that the end of a text would show much of them. */
  readonly #shortParts: readonly string[];

  constructor(texts: readonly string[], parts: readonly string[] = []) {
    this.#tiny = texts.filter((text) => Buffer.byteLength(text) <= MAX_SHOWN_BYTES);
    this.#shortParts = parts.filter((part) => shownOf(part) === "");
  }

  get all(): Needle[] {
    return [...this.#needles.values()].flat();
  }

  /** The marker of a text, which shows no other secret. */
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
      // `[REDACTED...kQ2p]` would show half of the password that ends `…;Password=Zx9!kQ2p`.
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
    "The output is withheld because the project's secrets are together too large to be looked for in it.",
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

/** `text` as it is written inside a JSON string. */
export function inJson(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/** Four characters of four bytes each. */
const MAX_SHOWN_BYTES = 16;

function keyOf(bytes: Buffer): string {
  return bytes.toString("latin1");
}
