/**
 * Reads text back the way a curious person would: by trying every usual decoder on it, and on what comes out. It shares
 * nothing with the sanitizer. All texts here are bytes, one character each.
 */

const MAX_LAYERS = 4;
const MIN_TEXT_BYTES = 6;

/** In a value that is shown as a whole eight bytes tell enough; where it was cut, one more than the twelve that may stay. */
export type ShownAs = "whole" | "cut";

/** The first of the `telling` runs of which a reader of `output` could see too much, or undefined. */
export function readableIn(output: Buffer, telling: readonly Buffer[], shownAs: ShownAs): boolean {
  const windows = telling.flatMap((run) => windowsOf(run, shownAs));
  // Lines are not put together again where a line may show twelve characters.
  const decoders = shownAs === "cut" ? DECODERS : [...DECODERS, joined];
  return readsAny(output.toString("latin1"), decoders, (reading) =>
    windows.some((window) => reading.includes(window)),
  );
}

function windowsOf(run: Buffer, shownAs: ShownAs): string[] {
  const bytes = run.toString("latin1").toLowerCase();
  // Large numbers are printed with seven digits.
  const size = Math.min(bytes.length, shownAs === "cut" ? 13 : /^\d+$/.test(bytes) ? 7 : 8);
  return Array.from({ length: bytes.length - size + 1 }, (_, at) => bytes.slice(at, at + size));
}

/** Whether `isTelling` holds for anything that the text may mean, in small letters because keys are read in either case. */
function readsAny(
  text: string,
  decoders: readonly Decoder[],
  isTelling: (reading: string) => boolean,
): boolean {
  const seen = new Set([text]);
  let last = [text];
  for (let layer = 0; layer <= MAX_LAYERS; layer++) {
    const next: string[] = [];
    for (const each of last) {
      if ([each, withoutSeparators(each)].some((reading) => isTelling(reading.toLowerCase()))) return true;
      if (layer === MAX_LAYERS) continue;
      for (const decoded of decoders.flatMap((decode) => decode(each))) {
        if (decoded.length < MIN_TEXT_BYTES || seen.has(decoded)) continue;
        seen.add(decoded);
        next.push(decoded);
      }
    }
    last = next;
  }
  return false;
}

type Decoder = (text: string) => string[];

const bytesOf = (text: string) => Buffer.from(text).toString("latin1");
const codePoint = (code: number) => (code > 0x10ffff ? "" : bytesOf(String.fromCodePoint(code)));
const hexByte = (digits: string) => String.fromCharCode(Number.parseInt(digits, 16));

const SHORT: Readonly<Record<string, string>> = {
  n: "\n",
  r: "\r",
  t: "\t",
  b: "\b",
  f: "\f",
  v: "\v",
  a: "\x07",
};

/** Of JSON, Python, C and shells; `\xe9` and `\303` are bytes or characters. */
function backslashes(text: string, high: (code: number) => string): string {
  const pattern =
    /\\(?:u(d[89ab]..)\\u(d[c-f]..)|u([0-9a-f]{4})|u([0-9a-f]{8})|x([0-9a-f]{2})|([0-7]{3})|(.))/gis;
  return text.replace(pattern, (_all, lead, trail, four, eight, two, octal, other) => {
    if (lead)
      return bytesOf(
        String.fromCharCode(Number.parseInt(lead, 16)) + String.fromCharCode(Number.parseInt(trail, 16)),
      );
    if (four) return codePoint(Number.parseInt(four, 16));
    if (eight) return codePoint(Number.parseInt(eight, 16));
    if (two) return high(Number.parseInt(two, 16));
    return octal ? high(Number.parseInt(octal, 8)) : (SHORT[other] ?? other);
  });
}

const ENTITIES: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

const entities = (text: string) =>
  text.replace(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|(lt|gt|amp|quot|apos));/gi, (_all, hex, decimal, name) =>
    name
      ? (ENTITIES[name.toLowerCase()] as string)
      : codePoint(hex ? Number.parseInt(hex, 16) : Number(decimal)),
  );

/** Where the backslashes of the text itself were left as they are. */
const longEscapes = (text: string) =>
  text.replace(/\\(?:U[0-9a-f]{8}|u[0-9a-f]{4}|x[0-9a-f]{2})/gi, (written) =>
    codePoint(Number.parseInt(written.slice(2), 16)),
  );

/** In either byte order; what is before it may have an odd length. */
function utf16(text: string): string[] {
  if (!text.includes("\0")) return [];
  return [0, 1].flatMap((skip) => {
    const units = Buffer.from(text.slice(skip, text.length - ((text.length - skip) % 2)), "latin1");
    return [units.toString("utf16le"), Buffer.from(units).swap16().toString("utf16le")].map(bytesOf);
  });
}

const percents = (text: string) => text.replace(/%([0-9a-f]{2})/gi, (_all, digits) => hexByte(digits));

const quotedPrintable = (text: string) =>
  text.replace(/=\r?\n/g, "").replace(/=([0-9a-f]{2})/gi, (_all, digits) => hexByte(digits));

/** Doubled in SQL, CSV and YAML; a shell's quoted text ends for an apostrophe. */
const quotes = (text: string) =>
  text.replaceAll(`'"'"'`, "'").replaceAll("'\\''", "'").replaceAll("''", "'").replaceAll('""', '"');

/** Where a run begins is not known: each of its first characters may be the one that a group begins with. */
function base64(text: string): string[] {
  const runs = text.match(/[A-Za-z0-9+/_-]{10,}/g) ?? [];
  return [0, 1, 2, 3].map((skip) =>
    runs.map((run) => Buffer.from(run.slice(skip), "base64").toString("latin1")).join("\n"),
  );
}

function hex(text: string): string[] {
  const runs = text.match(/(?:(?:0x)?[0-9a-f]{2}[\s,:-]{0,2}){6,}/gi) ?? [];
  const digits = runs.map((run) => run.replace(/0x|[\s,:-]/gi, ""));
  return [0, 1].map((skip) =>
    digits.map((run) => Buffer.from(run.slice(skip), "hex").toString("latin1")).join("\n"),
  );
}

/** Numbers as people group their digits, and UUIDs and keys with dashes. */
const withoutSeparators = (text: string) => text.replace(/(?<=[0-9a-f])[,._' :-](?=[0-9a-f])/gi, "");

const joined: Decoder = (text) => [text.replace(/[\r\n\t ]+/g, "")];

const DECODERS: readonly Decoder[] = [
  (text) => [backslashes(text, String.fromCharCode), backslashes(text, codePoint)],
  (text) => [percents(text), percents(text.replaceAll("+", " "))],
  (text) => [entities(text)],
  (text) => [quotedPrintable(text), quotedPrintable(text.replaceAll("_", " "))],
  (text) => [quotes(text)],
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what terminals read as a colour.
  (text) => [text.replace(/\x1b\[[0-9;]*m/g, "")],
  (text) => [longEscapes(text)],
  utf16,
  base64,
  hex,
];
