/**
 * Digits of the shortest number that is searched for; shorter ones are too common in output that has nothing
 * to do with the secret.
 */
const MIN_NUMBER_DIGITS = 6;

/** Significant digits of a double. A text with fewer digits can only be a rounded number. */
const DOUBLE_DIGITS = 15;

/** The largest number of digits that JavaScript can round to. */
const MAX_PRECISION = 100;

/**
 * The fewest digits with which a rounded number counts as the secret: pandas and C print seven of a large
 * number, `4.815162e+13`.
 */
const MIN_ROUNDED_DIGITS = 7;

/**
 * Characters that a printed number may have besides the digits of the secret: zeros, an exponent, a point, a
 * sign. No program prints more.
 */
export const MAX_MORE_CHARACTERS = 1_000;

const NUMBER = /^[+-]?(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?$/;

/** A number that is a secret, without its sign. */
export type SecretNumber = {
  /** The digits as they are printed, without leading zeros: `250000` for `+250000.00`. */
  readonly digits: string;
  /** The canonical form, which all texts of this number share, such as `25e4`. */
  readonly canonical: string;
  /** The number as a double, without its sign; Infinity when it is too large for one. */
  readonly double: number;
};

/**
 * Parses a secret value as a number. Undefined when it is no number, or has too few digits to be searched
 * for.
 */
export function secretNumber(value: string): SecretNumber | undefined {
  const match = NUMBER.exec(value);
  const canonical = match ? canonicalOf(match) : undefined;
  if (!match || canonical === undefined) return undefined;
  const [, whole = "", fraction = "", exponent = "0"] = match;
  const power = Number(exponent);
  const digits = (whole + withoutZerosAtEnd(fraction).padEnd(Math.max(0, power), "0")).replace(/^0+/, "");
  if (digits.length < MIN_NUMBER_DIGITS || power > 40) return undefined;
  return { digits, canonical, double: Math.abs(Number(value)) };
}

/**
 * Whether `text`, a number in JSON's notation, prints this number: exactly, as a double, or rounded as
 * programs print large numbers.
 */
export function isNumber(text: string, number: SecretNumber): boolean {
  // Longer texts are not parsed, because a script may print a number of ten million digits.
  if (text.length > number.digits.length + MAX_MORE_CHARACTERS) return false;
  const match = NUMBER.exec(text);
  if (!match) return false;
  if (canonicalOf(match) === number.canonical) return true;
  const [, whole = "", fraction = "", exponent] = match;
  const count = (whole + fraction).replace(/^0+/, "").length;
  if (!Number.isFinite(number.double) || number.double === 0) return false;
  if (count >= DOUBLE_DIGITS) {
    // Programs print a double with 15 to 17 digits, or with all of them. Another number that is rounded to
    // the same double does not count.
    const significant = withoutZerosAtEnd((whole + fraction).replace(/^0+/, "")).length;
    if (significant < 1 || significant > MAX_PRECISION) return false;
    const printed = NUMBER.exec(number.double.toPrecision(significant));
    return printed !== null && canonicalOf(printed) === canonicalOf(match);
  }
  if (exponent === undefined || count < MIN_ROUNDED_DIGITS) return false;
  return number.double.toExponential(count - 1) === Math.abs(Number(text)).toExponential(count - 1);
}

/** The canonical form, which all texts of one number share; undefined for a text that is no number. */
export function canonicalForm(text: string): string | undefined {
  const match = NUMBER.exec(text);
  return match ? canonicalOf(match) : undefined;
}

/** A printed number that is a secret: the offset of its end, and the item that was found for it. */
export type FoundNumber<Item> = { readonly end: number; readonly item: Item };

/**
 * Reads the number whose first digits are at offset `at` of `text`, and looks it up with `find`. Undefined
 * when `find` does not know the number. Digits may be grouped (`48,151`, `48_151`, `48 151`, `48.151`).
 */
export function numberAt<Item>(
  text: string,
  at: number,
  find: (plain: string) => Item | undefined,
): FoundNumber<Item> | undefined {
  const dotted = standsInDots(text, at);
  const alone = dotted === undefined ? undefined : find(dotted);
  if (dotted !== undefined && alone !== undefined) return { end: at + dotted.length, item: alone };
  // Zeros and a point before the digits, as in `0.00`, belong to the same number.
  const [lead = ""] = LEADING_ZEROS.exec(text.slice(0, at)) ?? [];
  if (isWithinNumber(text, at - lead.length)) return undefined;
  const rest = text.slice(at);
  for (const form of FORMS) {
    const match = form.written.exec(rest);
    if (!match) continue;
    const end = at + match[0].length;
    if (form.goesOn.test(text.slice(end))) continue;
    const plain = form.plain(match[0]);
    // In a text such as `report.250000` the point may be no decimal point, so the digits are also looked up
    // without it.
    const item =
      (lead.startsWith("0") ? undefined : find(plain)) ??
      (lead === "" ? undefined : find(`0${lead}${plain}`));
    if (item !== undefined) return { end, item };
  }
  return undefined;
}

/**
 * The digits at offset `at`, if the points around them are no decimal points, as in file names, versions,
 * object identifiers and addresses; undefined otherwise.
 */
function standsInDots(text: string, at: number): string | undefined {
  const before = withoutZerosAtEnd(text.slice(0, at));
  if (/\d$/.test(before)) return undefined;
  const [digits = ""] = /^\d+/.exec(text.slice(at)) ?? [];
  const [left = ""] = /(?<![\d.])(?:\d+\.)+$/.exec(before.slice(-MAX_DOTTED_BEFORE)) ?? [];
  const [right = ""] = /^(?:\.\d+)+/.exec(text.slice(at + digits.length)) ?? [];
  const points = left.split(".").length - 1 + (right.split(".").length - 1);
  const isName =
    /^\.[A-Za-z_]/.test(text.slice(at + digits.length + right.length)) ||
    (left === "" ? /[A-Za-z_]\.$/ : /[A-Za-z_]$/).test(before.slice(0, before.length - left.length));
  return points > 1 || (points === 1 && isName) ? digits : undefined;
}

/** The number of characters before the digits that are searched for further digits and points. */
const MAX_DOTTED_BEFORE = 64;

const LEADING_ZEROS = /(?<!\d\.?)0*\.0*$/;

/**
 * Whether the digits at offset `at` continue a number that began before them: `1250000`, `0.250000`,
 * `1,250,000`.
 */
function isWithinNumber(text: string, at: number): boolean {
  const before = withoutZerosAtEnd(text.slice(0, at));
  if (/\d$/.test(before)) return true;
  if (/\d\.0*$/.test(text.slice(0, at))) return true;
  const [separator] = /(?<=\d)[,_' ]$/.exec(before) ?? [];
  const group = /^\d{3}(?!\d)(?:([,_' ])\d)?/.exec(text.slice(at));
  return separator !== undefined && group !== null && (group[1] ?? separator) === separator;
}

type Form = {
  readonly written: RegExp;
  plain(written: string): string;
  /**
   * A pattern for text after the digits that continues the number, which is then another number than the
   * secret.
   */
  readonly goesOn: RegExp;
};

const EXPONENT = "(?:[eE][+-]?\\d{1,4})?";
const group = (separator: string): Form => ({
  written: new RegExp(`^\\d{1,3}(?:${separator}\\d{3})+(?!\\d)(?:\\.\\d+)?${EXPONENT}`),
  plain: (written) => written.replace(new RegExp(separator, "g"), ""),
  goesOn: /^\.?\d/,
});

const FORMS: readonly Form[] = [
  {
    written: new RegExp(`^\\d+(?:\\.\\d+)?${EXPONENT}`),
    plain: (written) => written,
    goesOn: /^\.?\d/,
  },
  group(","),
  group("_"),
  group("'"),
  group("[ \u00a0\u2009\u202f]"),
  group("\u2019"),
  // Digit groups of India: `12,50,000`.
  {
    written: /^\d{1,2}(?:,\d{2})+,\d{3}(?!\d)(?:\.\d+)?/,
    plain: (written) => written.replaceAll(",", ""),
    goesOn: /^\.?\d/,
  },
  {
    // Digit groups of payment cards: `1234 5678`.
    written: /^\d{1,4}(?:([ _-])\d{4})(?:\1\d{4})*(?!\d)/,
    plain: (written) => written.replace(/[ _-]/g, ""),
    goesOn: /^[ _-]?\d/,
  },
  {
    // Digit groups with points, and a decimal comma: `1.250.000,5`.
    written: /^\d{1,3}(?:\.\d{3})+(?!\d)(?:,\d+)?/,
    plain: (written) => written.replaceAll(".", "").replace(",", "."),
    goesOn: /^\.?\d/,
  },
];

/**
 * Removes zeros at the end of a text. A loop does so, because a regular expression that ends in `$` would try
 * each zero as a beginning.
 */
function withoutZerosAtEnd(text: string): string {
  let end = text.length;
  while (text[end - 1] === "0") end--;
  return text.slice(0, end);
}

/**
 * The canonical form of a number: its digits without zeros at either end, and the power of ten of the last
 * digit.
 */
function canonicalOf([, whole = "", fraction = "", exponent = "0"]: RegExpExecArray): string {
  const all = (whole + fraction).replace(/^0+/, "");
  const digits = withoutZerosAtEnd(all);
  if (digits === "") return "0";
  return `${digits}e${Number(exponent) - fraction.length + (all.length - digits.length)}`;
}
