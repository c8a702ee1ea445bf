import { entropyOf, MIN_PIECE_CHARACTERS, withoutPadding } from "./padding.ts";

/** Any `MIN_PIECE_CHARACTERS` in a row hold one of the samples that are taken every so many characters. */
const SAMPLE_CHARACTERS = 7;

/** A shorter value is looked for as a whole only. */
const MIN_PIECED_BYTES = 16;

/** Of a larger value only pieces of its first bytes are looked for, besides the whole. */
const MAX_PIECED_BYTES = 16 * 1024;

/** Bits for each character; hexadecimal digits have close to 4, English words written together below 3. */
const MIN_ENTROPY = 2.9;

/** So many small letters in a row are taken for a word. */
const MIN_WORD_LETTERS = 5;

/** A stretch of a value, of which any piece is looked for. */
export type Stretch = {
  readonly text: string;
  /** Where its samples stand. Each piece holds one of them. */
  readonly samples: readonly number[];
};

export function sampleAt({ text }: Stretch, at: number): string {
  return text.slice(at, at + SAMPLE_CHARACTERS);
}

/**
 * The stretches of a value that look random. Words, the scheme and the host of a URL, and the headers of keys and of
 * JSON Web Tokens, which are the same for many, do not; of a value with a secret's name all but words do. A value without a
 * structure, which is a password or a phrase, is taken with its signs and blanks. `commonTexts` stand in the value and are no secret.
 */
export function stretchesOf(
  value: string,
  isNamedSecret: boolean,
  isPart = false,
  commonTexts: readonly string[] = [],
): Stretch[] {
  if (Buffer.byteLength(value) < MIN_PIECED_BYTES) return [];
  const start = without(commonTexts, value.slice(0, MAX_PIECED_BYTES));
  const runs = runsOf(start, isNamedSecret);
  // A part with blanks and without such a name may be any text: a line of a file, a program's name.
  const isText = isPart && !isNamedSecret && start.includes(" ");
  const texts = isText || hasStructure(start) ? runs : unlessWithin(linesOf(start, isNamedSecret), runs);
  return texts.map((text) => {
    const count = Math.floor((text.length - SAMPLE_CHARACTERS) / SAMPLE_CHARACTERS) + 1;
    return { text, samples: Array.from({ length: count }, (_, index) => index * SAMPLE_CHARACTERS) };
  });
}

/** Blanks stand in the place of `texts` in what is left of a value. */
function without(texts: readonly string[], value: string): string {
  return texts.reduce((left, text) => left.replaceAll(text, " "), value);
}

/** Runs of the characters of Base64, without those that are words or known to everybody. */
function runsOf(value: string, isNamedSecret: boolean): string[] {
  const paths: string[] = [];
  const searched = value
    .replace(URL_BEGINNING, (_all, user = "", path = "") => {
      paths.push(path);
      return `${user} `;
    })
    .replace(KEY_HEADERS, " ");
  const isTelling = (run: string) =>
    isNamedSecret ? !/^[A-Za-z]+$|^[a-z_/=-]+$/.test(run) : isRandomLooking(run);
  // A path such as `/o/oauth2/auth` stands in many secrets and is known to everybody.
  const runs = [
    ...paths.flatMap(longRuns).flatMap((run) => partsIf(isRandomLooking, run)),
    ...longRuns(searched).flatMap((run) => partsIf(isTelling, run)),
  ];
  return runs.filter((run) => !isTokenHeader(run));
}

function longRuns(text: string): string[] {
  return text.match(/[A-Za-z0-9+/=_-]{13,}/g) ?? [];
}

/** The parts of a run that are no padding, if the run itself or the part is telling: padding makes a run look like less than it is. */
function partsIf(isTelling: (run: string) => boolean, run: string): string[] {
  const isRunTelling = isTelling(run);
  return withoutPadding(run).filter((part) => isRunTelling || isTelling(part));
}

/** What most signs of a value with a structure are for; everybody knows them. */
const STRUCTURES: readonly RegExp[] = [
  // URLs, keys in PEM, documents.
  /:\/\/|-----|^\s*["']?[[{<]|^eyJ/,
  // Names with values, also within a string of JSON.
  /(?:^|[\s;&?,{"'])[A-Za-z_][\w.-]{2,}["'\\]*(?:\s?=|:[\s"'\\])/,
  // Names of resources, and public keys.
  /^(?:arn|urn|mailto):|^(?:ssh|ecdsa)-\S+ /,
  // Paths, addresses of mail, hosts.
  /^(?:[.~]{0,2}\/|[A-Za-z]:\\)/,
  /^[^@\s]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+/,
  /^[a-z0-9-]+(?:\.[a-z0-9-]+)+(?:[:/].*)?$/,
];

function hasStructure(value: string): boolean {
  return STRUCTURES.some((structure) => structure.test(value));
}

/** The lines of a value without a structure: what looks random, and words that do not make a sentence. */
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

/** Words that few people have in a pass phrase, and that make a text like other texts. */
const SENTENCE =
  /(?<![a-z])(?:an?|and|are|as|at|by|for|from|has|have|in|is|it|not|of|on|or|that|the|this|to|was|with|you|your)(?![a-z])/i;

/** Both, without those of the second that stand within one of the first. */
function unlessWithin(first: readonly string[], second: readonly string[]): string[] {
  return [...first, ...second.filter((text) => !first.some((other) => other.includes(text)))];
}

/** A URL up to its query: its user info, and its path. */
const URL_BEGINNING = /[A-Za-z][A-Za-z0-9+.-]*:\/\/(?:([^/?#@\s]*)@)?[^/?#@\s]*([A-Za-z0-9+/=_.~%-]*)/g;

/** How all keys of RSA and of the curve P-256 begin in PEM, the public ones too. */
const KEY_HEADERS =
  /MII.{1,12}ANBgkqhkiG9w0BAQEFAA(?:.{4,28}AgEAAo.{1,4}BAQ)?|MIG.{1,8}MBMGByqGSM49AgEGCCqGSM49AwEHB[HG]0wawIBAQQg/g;

/** Whether a run of letters and digits was made by chance rather than by people. */
function isRandomLooking(run: string): boolean {
  const kinds = [/[a-z]/, /[A-Z]/, /[0-9]/].filter((kind) => kind.test(run)).length;
  if (kinds < 2) return false;
  const words = run.match(new RegExp(`[a-z]{${MIN_WORD_LETTERS},}`, "g")) ?? [];
  const inWords = words.reduce((sum, word) => sum + word.length, 0);
  return inWords * 2 < run.length && entropyOf(run) >= MIN_ENTROPY;
}

function isTokenHeader(run: string): boolean {
  return run.startsWith("eyJ") && Buffer.from(run, "base64url").toString().includes('"alg"');
}
