import type { Spelled } from "./other-spellings.ts";

/** A way to write a secret that redaction does not read. */
type NotCovered = {
  /** The words that name it in docs/security.md. */
  readonly named: string;
  /** The cases of the table that are of this kind. */
  is(spelled: Spelled): boolean;
};

const spelling = (pattern: RegExp) => (spelled: Spelled) => pattern.test(spelled.spelling);

const TWO_ENCODINGS = "(?:Base64 of Base64|Base64 of Base64 in the middle|Base64 of hex|hex of Base64)";
const BASE64 = "(?:b64encode, .*|urlsafe_b64encode, .*|encodebytes, .*|Base64 .*|repr of Base64 bytes)";
const HEX = "(?:hex.*|list of .*|repr of hexlify)";

/** All that the table writes and redaction does not read. Each is named in docs/security.md. */
export const NOT_COVERED: readonly NotCovered[] = [
  {
    named: "escapes other than JSON's under Base64",
    is: spelling(new RegExp(`^(?:repr|html.escape|urllib quote|urlencode) in ${BASE64}$`)),
  },
  {
    named: "escapes under hexadecimal digits",
    is: spelling(new RegExp(`^(?:json.dumps.*|repr|html.escape|urllib quote|urlencode) in ${HEX}$`)),
  },
  { named: "escapes under two encodings", is: spelling(new RegExp(` in ${TWO_ENCODINGS}$`)) },
  {
    named: "values of more than 128 bytes under two encodings",
    is: ({ kind, spelling }) => kind === "JSON Web Token" && new RegExp(`^${TWO_ENCODINGS}$`).test(spelling),
  },
  {
    named: "the bytes of a Base64 key under two encodings",
    is: spelling(/^bytes meant, (?:Base64 of Base64 in the middle|Base64 of hex|hex of Base64)$/),
  },
  {
    named: "a colour in the middle of a number",
    is: ({ kind, spelling }) => kind.startsWith("number") && spelling.startsWith("colours in the middle"),
  },
  { named: "more than one encoded word", is: spelling(/^header word$/) },
  { named: "blanks that mail headers write as `_`", is: spelling(/^quopri of a header/) },
  { named: "encodings other than UTF-8 and UTF-16", is: spelling(/^escape(?: in |$)/) },
  { named: "Base64 three times over", is: spelling(/^not covered, Base64 three times$/) },
  { named: "the bytes of a key as Python prints them", is: spelling(/^not covered, bytes of a key$/) },
  { named: "decimal values of bytes", is: spelling(/^not covered, decimal bytes$/) },
  { named: "HTML's names for letters", is: spelling(/^not covered, entities$/) },
  { named: "hexadecimal dumps of more than one line", is: spelling(/^not covered, hex dump$/) },
  { named: "lines of 12 characters or fewer", is: spelling(/^not covered, narrow lines$/) },
  { named: "compressed, encrypted", is: spelling(/^not covered, compressed$/) },
  { named: "Base32, Base85", is: spelling(/^not covered, Base(?:32|85)$/) },
  { named: "names of characters", is: spelling(/^not covered, character names$/) },
  { named: "reversed", is: spelling(/^not covered, reversed$/) },
  { named: "with blanks between its characters", is: spelling(/^not covered, spaced$/) },
];

/** Cuts and rounded numbers in which nothing is left to read. */
export function tellsNothing({ kind, spelling }: Spelled): boolean {
  const isHeader = kind === "JSON Web Token" && spelling.startsWith("cut, ");
  const isBeginning = kind === "service account in JSON" && spelling.startsWith("Buffer, inspected");
  const isRounded = kind === "number of 21 digits" && spelling === "number, exponent";
  return isHeader || isBeginning || isRounded || /^not covered, |^escape(?: in |$)/.test(spelling);
}
