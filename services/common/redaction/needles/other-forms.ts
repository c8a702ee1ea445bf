import { isWrittenName } from "./words.ts";

/**
 * Other texts that programs write for the same value: hexadecimal digits in the other case, UUIDs without
 * dashes, Base64 in the other alphabet.
 */
export function textFormsOf(value: string): string[] {
  const forms = new Set<string>();
  if (/^[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$/i.test(value)) {
    const digits = value.replaceAll("-", "");
    const dashed = digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
    for (const form of [digits, dashed]) forms.add(form.toLowerCase()).add(form.toUpperCase());
  } else if (isHex(value)) {
    forms.add(value.toLowerCase()).add(value.toUpperCase());
  } else if (isBase64(value)) {
    forms.add(value.replaceAll("+", "-").replaceAll("/", "_"));
    forms.add(value.replaceAll("-", "+").replaceAll("_", "/"));
  }
  forms.delete(value);
  return [...forms];
}

/** Characters of the shortest and of the longest value that is searched for in small letters and in capitals. */
const [MIN_CASED_CHARACTERS, MAX_CASED_CHARACTERS] = [8, 256];

/**
 * A value in small letters and in capitals, as programs write hosts, names of columns and names of headers. Empty
 * for a value of several lines, and for a name such as `Reports2024`, which other text has in small letters.
 */
export function caseFormsOf(value: string): string[] {
  if (value.length < MIN_CASED_CHARACTERS || value.length > MAX_CASED_CHARACTERS) return [];
  if (/[\r\n]/.test(value) || isWrittenName(value)) return [];
  return [value.toLowerCase(), value.toUpperCase()].filter((form) => form !== value);
}

/**
 * A multi-line value with the line ends of other systems and of network protocols. Empty for a value of one
 * line.
 */
export function lineEndFormsOf(value: string): string[] {
  const lines = value.split(/\r\n|\n/);
  return lines.length === 1
    ? []
    : ["\n", "\r\n"].map((end) => lines.join(end)).filter((form) => form !== value);
}

/** Decodes a key of at least eight bytes from hexadecimal digits or Base64; undefined for other values. */
export function bytesMeant(value: string): Buffer | undefined {
  const digits = value.replaceAll("-", "");
  if (isHex(digits)) return Buffer.from(digits, "hex");
  return isBase64(value) ? Buffer.from(value, "base64") : undefined;
}

/** Whether a value consists of the hexadecimal digits of eight bytes or more. */
export function isHex(value: string): boolean {
  return /^(?:[0-9a-fA-F]{2}){8,}$/.test(value);
}

/**
 * Whether a value looks like Base64: long enough, and neither a word nor a number, which could be Base64 as
 * well.
 */
function isBase64(value: string): boolean {
  return (
    /^[A-Za-z0-9+/_-]{16,}={0,2}$/.test(value) &&
    /[0-9+/_-]/.test(value) &&
    /[A-Za-z]/.test(value) &&
    value.replace(/=+$/, "").length % 4 !== 1
  );
}
