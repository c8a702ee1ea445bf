import { entropyOf, MIN_PIECE_CHARACTERS, withoutPadding } from "./padding.ts";
import { isDate, roleOf } from "./secret-names.ts";
import type { Parts } from "./secret-parts.ts";
import { looksLikeWords } from "./words.ts";

/**
 * Characters of a sample, a short text by which pieces of a long secret are found, and the distance between
 * the beginnings of two samples. Any MIN_PIECE_CHARACTERS consecutive characters of a value therefore contain
 * a whole sample.
 */
const SAMPLE_CHARACTERS = 7;

/**
 * Bytes of the shortest value whose pieces are searched for; a shorter one is searched for only as a whole.
 */
const MIN_PIECED_BYTES = 16;

/** Bytes at the beginning of a value whose pieces are searched for. Pieces of the rest are not. */
const MAX_PIECED_BYTES = 16 * 1024;

/**
 * The least entropy of random-looking text, in bits per character. Hexadecimal digits have close to 4,
 * English words written together below 3.
 */
const MIN_ENTROPY = 2.9;

/** The number of consecutive small letters that count as a word if they look like one. */
const MIN_WORD_LETTERS = 5;

/**
 * Texts and numbers inside a secret value that are no secret, such as hosts and account numbers. Pieces of
 * them are not searched for.
 */
export type Common = Pick<Parts, "commonTexts" | "commonNumbers">;

/** For values in which everything is secret. */
export const NONE_COMMON: Common = { commonTexts: [], commonNumbers: new Set() };

/**
 * A part of a secret value of which any piece of at least MIN_PIECE_CHARACTERS characters is searched for.
 */
export type Stretch = {
  readonly text: string;
  /**
   * Offsets in `text` of the samples, short texts by which pieces are found. Every piece contains a whole
   * sample.
   */
  readonly samples: readonly number[];
};

/** The sample at the offset `at` of a stretch's text. */
export function sampleAt({ text }: Stretch, at: number): string {
  return text.slice(at, at + SAMPLE_CHARACTERS);
}

/**
 * The stretches of a secret value that look random, so that any piece of them is searched for. Words, the
 * scheme and host of a URL, and the headers of keys and JSON Web Tokens do not look random, because many
 * values share them.
 *
 * - `isNamedSecret`: the value has the name of a secret; then everything except words looks random.
 * - `isPart`: the value is a part of a secret.
 * - `commonTexts` and `commonNumbers`: texts and numbers inside the value that are no secret.
 *
 * A value without a known structure is a password or a phrase, so its punctuation and blanks belong to the
 * stretch.
 */
export function stretchesOf(
  value: string,
  isNamedSecret: boolean,
  isPart = false,
  { commonTexts, commonNumbers }: Common = NONE_COMMON,
): Stretch[] {
  if (Buffer.byteLength(value) < MIN_PIECED_BYTES) return [];
  const start = without(commonTexts, value.slice(0, MAX_PIECED_BYTES));
  const runs = runsOf(start, isNamedSecret, commonNumbers);
  // A part with blanks and without the name of a secret may be any text, such as a line of a file or a
  // program's name.
  const isText = isPart && !isNamedSecret && start.includes(" ");
  const texts = isText || hasStructure(start) ? runs : unlessWithin(linesOf(start, isNamedSecret), runs);
  return texts.map((text) => {
    const count = Math.floor((text.length - SAMPLE_CHARACTERS) / SAMPLE_CHARACTERS) + 1;
    return { text, samples: Array.from({ length: count }, (_, index) => index * SAMPLE_CHARACTERS) };
  });
}

/** The value with each of `texts` replaced by a blank. */
function without(texts: readonly string[], value: string): string {
  return texts.reduce((left, text) => left.replaceAll(text, " "), value);
}

/** Runs of 13 or more Base64 characters in a value, without those that are words or common knowledge. */
function runsOf(value: string, isNamedSecret: boolean, commonNumbers: ReadonlySet<string>): string[] {
  const paths: string[] = [];
  const searched = value
    .replace(URL_BEGINNING, (_all, user = "", path = "") => {
      paths.push(path);
      return `${user} `;
    })
    .replace(KEY_HEADERS, " ");
  const isTelling = (run: string) =>
    isNamedSecret ? !isWords(run) || (run === value && /^[A-Za-z]+$/.test(run)) : isRandomLooking(run);
  const isSearched = (run: string) =>
    !commonNumbers.has(run) && !isDate(run) && !isHarmlessAssignment(run, isTelling);
  // A URL's path must always look random, because a path such as `/o/oauth2/auth` is in many secrets and
  // publicly known.
  const runs = [
    ...paths.flatMap(longRuns).flatMap((run) => partsIf(isRandomLooking, run)),
    ...longRuns(searched)
      .filter(isSearched)
      .flatMap((run) => partsIf(isTelling, run)),
  ];
  return runs.filter((run) => !isTokenHeader(run));
}

/**
 * Whether a run is a name and a value that is no secret, as in `START_MS=1764460800000` and
 * `BUCKET=reports-2024`. The letters of the name would make the run look random.
 */
function isHarmlessAssignment(run: string, isTelling: (run: string) => boolean): boolean {
  const [, name = "", value = ""] = /^([A-Za-z_][\w-]*)=([^=].*)$/.exec(run) ?? [];
  if (value === "") return false;
  const role = roleOf(name, value);
  if (role === "setting") return !/^\d+$/.test(value) && !isRandomLooking(value);
  return role === "number" || (role === "field" && !isTelling(value));
}

/** Whether a run of letters, or of small letters and signs, looks like words. */
function isWords(run: string): boolean {
  return /^[A-Za-z]+$|^[a-z_/=-]+$/.test(run) && looksLikeWords(run.replace(/[^A-Za-z]/g, ""));
}

function longRuns(text: string): string[] {
  return text.match(/[A-Za-z0-9+/=_-]{13,}/g) ?? [];
}

/**
 * The parts of a run between its padding (such as `0000…`), if the run or the part satisfies `isTelling`. The
 * part is checked too, because padding makes a run look less random than its parts.
 */
function partsIf(isTelling: (run: string) => boolean, run: string): string[] {
  const isRunTelling = isTelling(run);
  return withoutPadding(run).filter((part) => isRunTelling || isTelling(part));
}

/** A name before its value, with the sign before it, also within a string of JSON. */
const NAMES = /(^|[\s;&?,{"'])([A-Za-z_][\w.-]{2,})["'\\]*(?:\s?=|:[\s"'\\])/gm;

/**
 * Patterns of values with a known structure. Most punctuation in them belongs to the structure and is no
 * secret.
 */
const STRUCTURES: readonly RegExp[] = [
  // Structured values: URLs, keys in PEM, documents.
  /:\/\/|-----|^\s*["']?(?:\[[\s\S]*\]|\{[\s\S]*\}|<[\s\S]*>)["']?\s*$|^eyJ/,
  // Structured values: names of resources, and public keys.
  /^(?:arn|urn|mailto):|^(?:ssh|ecdsa)-\S+ /,
  // Structured values: paths, e-mail addresses, hosts.
  /^(?:[.~]{0,2}\/|[A-Za-z]:\\)[^!#$%^&*<>?|"'`;]*$/,
  /^[^@\s]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+/,
  /^[a-z0-9-]+(?:\.[a-z0-9-]+)+(?:[:/].*)?$/,
];

function hasStructure(value: string): boolean {
  return STRUCTURES.some((structure) => structure.test(value)) || hasNames(value);
}

/** Whether a value has names with values. A single one that is no word is also found in random signs. */
function hasNames(value: string): boolean {
  const found = [...value.matchAll(NAMES)];
  return (
    found.length > 1 ||
    found.some(([, before, name = ""]) => before === "" || (name.length > 3 && looksLikeWords(name)))
  );
}

/**
 * The lines of a value without a known structure: those that look random, and words that make no sentence.
 */
function linesOf(value: string, isNamedSecret: boolean): string[] {
  return (value.replace(KEY_HEADERS, "\n").match(/[\x20-\x7e]{13,}/g) ?? []).flatMap((each) => {
    const line = each.trim();
    if (line.length < MIN_PIECE_CHARACTERS || /^[A-Za-z0-9+/=_-]*$/.test(line)) return [];
    const isTelling = line.includes(" ")
      ? isNamedSecret || !SENTENCE.test(line)
      : isNamedSecret
        ? !/^[A-Za-z]+$|^[\da-z_/.:=-]+$/.test(line)
        : isRandomLooking(line);
    return isTelling ? withoutPadding(line) : [];
  });
}

/** Words of ordinary English sentences. A line without any of them is more likely a pass phrase. */
const SENTENCE =
  /(?<![a-z])(?:an?|and|are|as|at|by|for|from|has|have|in|is|it|not|of|on|or|that|the|this|to|was|with|you|your)(?![a-z])/i;

/** Both lists of texts together, without those of the second list that a text of the first list contains. */
function unlessWithin(first: readonly string[], second: readonly string[]): string[] {
  return [...first, ...second.filter((text) => !first.some((other) => other.includes(text)))];
}

/** A URL up to its query; the groups are its user info and its path. */
const URL_BEGINNING = /[A-Za-z][A-Za-z0-9+.-]*:\/\/(?:([^/?#@\s]*)@)?[^/?#@\s]*([A-Za-z0-9+/=_.~%-]*)/g;

/** The first and the last line of PEM, also in Base64, and the beginning that all RSA and P-256 keys have in PEM. */
const KEY_HEADERS =
  /-----(?:BEGIN|END) [A-Z0-9 ]{1,40}-----|(?:LS0tLS1(?:CRUdJTi|FTkQg)|S0tLS0tRU5EI|tLS0tLUVORC)[A-Za-z0-9+/]{4,44}?(?:S0tLS0t|LS0tLS0|tLS0tLQ)[A-Za-z0-9+/=]{0,2}|MII.{1,12}ANBgkqhkiG9w0BAQEFAA(?:.{4,28}AgEAAo.{1,4}BAQ)?|MIG.{1,8}MBMGByqGSM49AgEGCCqGSM49AwEHB[HG]0wawIBAQQg/g;

/** Whether a run of letters and digits looks random rather than written by a person. */
function isRandomLooking(run: string): boolean {
  const kinds = [/[a-z]/, /[A-Z]/, /[0-9]/].filter((kind) => kind.test(run)).length;
  if (kinds < 2 && (!/^[A-Za-z]+$/.test(run) || looksLikeWords(run))) return false;
  const words = (run.match(new RegExp(`[a-z]{${MIN_WORD_LETTERS},}`, "g")) ?? []).filter(looksLikeWords);
  const inWords = words.reduce((sum, word) => sum + word.length, 0);
  return inWords * 2 < run.length && entropyOf(run) >= MIN_ENTROPY;
}

function isTokenHeader(run: string): boolean {
  return run.startsWith("eyJ") && Buffer.from(run, "base64url").toString().includes('"alg"');
}
