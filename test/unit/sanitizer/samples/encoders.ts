/** Writes a secret, with `around` as its neighbours where those get mixed in, the way some program would. */
export type Encoder = (secret: string, around: readonly [Uint8Array, Uint8Array]) => string;

const hexOf = (code: number, digits: number) => code.toString(16).padStart(digits, "0");

/** The text that Python's json.dumps writes; other programs write the digits in capitals. */
function asciiJson(secret: string, inCapitals: boolean): string {
  const inside = JSON.stringify(secret).slice(1, -1);
  return inside.replace(/\\u00[01][0-9a-f]|[\x7f-\uffff]/g, (unit) => {
    const digits = unit.startsWith("\\u") ? unit.slice(2) : hexOf(unit.charCodeAt(0), 4);
    return `\\u${inCapitals ? digits.toUpperCase() : digits}`;
  });
}

/** The text that Python's ascii() writes between its quotes. */
function pythonAscii(secret: string): string {
  let written = "";
  for (const character of secret) {
    const code = character.codePointAt(0) as number;
    if (character === "\\") written += "\\\\";
    else if (character === "\n") written += "\\n";
    else if (character === "\r") written += "\\r";
    else if (character === "\t") written += "\\t";
    else if (code >= 0x20 && code < 0x7f) written += character;
    else if (code < 0x100) written += `\\x${hexOf(code, 2)}`;
    else if (code < 0x10000) written += `\\u${hexOf(code, 4)}`;
    else written += `\\U${hexOf(code, 8)}`;
  }
  return written;
}

/** The same of the UTF-8 bytes of the text. */
const pythonBytes: Encoder = (secret) => pythonAscii(Buffer.from(secret).toString("latin1"));

const html: Encoder = (secret) =>
  secret
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#x27;");

const lowerPercents = (encoded: string) => encoded.replace(/%[0-9A-F]{2}/g, (byte) => byte.toLowerCase());

function base64(alignment: 0 | 1 | 2, alphabet: "base64" | "base64url"): Encoder {
  return (secret, [before, after]) => {
    const lead = Buffer.concat([before, Buffer.alloc(3)]).subarray(
      0,
      before.length - (before.length % 3) + alignment,
    );
    return Buffer.concat([lead, Buffer.from(secret), after]).toString(alphabet);
  };
}

export const ENCODERS: Readonly<Record<string, Encoder>> = {
  raw: (secret) => secret,
  "in lines of its own": (secret) => secret.split(/\r\n|\r|\n/).join(" | "),
  JSON: (secret) => JSON.stringify(secret).slice(1, -1),
  "JSON with escaped slashes": (secret) => JSON.stringify(secret).slice(1, -1).replaceAll("/", "\\/"),
  "ASCII JSON": (secret) => asciiJson(secret, false),
  "ASCII JSON in capitals": (secret) => asciiJson(secret, true),
  "ascii()": pythonAscii,
  "repr of bytes": pythonBytes,
  encodeURIComponent,
  "encodeURIComponent in small letters": (secret) => lowerPercents(encodeURIComponent(secret)),
  encodeURI,
  form: (secret) => new URLSearchParams({ k: secret }).toString().slice(2),
  "form in small letters": (secret) => lowerPercents(new URLSearchParams({ k: secret }).toString().slice(2)),
  HTML: html,
  "HTML with numbers": (secret) =>
    html(secret, [new Uint8Array(), new Uint8Array()]).replaceAll("&#x27;", "&#39;"),
  hex: (secret) => Buffer.from(secret).toString("hex"),
  "hex in capitals": (secret) => Buffer.from(secret).toString("hex").toUpperCase(),
  "base64, first alignment": base64(0, "base64"),
  "base64, second alignment": base64(1, "base64"),
  "base64, third alignment": base64(2, "base64"),
  "base64url, first alignment": base64(0, "base64url"),
  "base64url, second alignment": base64(1, "base64url"),
  "base64url, third alignment": base64(2, "base64url"),
};
