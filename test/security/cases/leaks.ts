/** Fewer bytes in a row count as no leak, because markers show four characters. */
const TELLING_BYTES = 8;

/**
 * The names of the secrets of which `text` contains eight bytes in a row, in any usual spelling. The function decodes
 * the text and shares no code with the sanitizer, which encodes the secrets.
 */
export function leaksOf(text: string | Buffer, secrets: Readonly<Record<string, string>>): string[] {
  // Long repetitions of one character are shortened, because most output of hostile scripts is that.
  const shortened = Buffer.from(text)
    .toString("latin1")
    .replace(/(.)\1{63,}/gs, "$1");
  const readings = readingsOf(shortened);
  return Object.entries(secrets).flatMap(([name, secret]) => {
    // One regular expression for all windows, because stored files may be large.
    const eights = new RegExp(windowsOf(secret).map(literal).join("|"));
    return readings.some((reading) => eights.test(reading)) ? name : [];
  });
}

const literal = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");

function windowsOf(secret: string): string[] {
  // Windows do not cross lines, because short lines of a secret are not redacted.
  return secret.split("\n").flatMap((line) => {
    const bytes = asBytes(line);
    const count = Math.max(0, bytes.length - TELLING_BYTES + 1);
    return Array.from({ length: count }, (_, at) => bytes.slice(at, at + TELLING_BYTES));
  });
}

const asBytes = (text: string) => Buffer.from(text).toString("latin1");

function readingsOf(text: string): string[] {
  const once = unescaped(text);
  const runs = [
    ...[...text.matchAll(/[0-9a-fA-F]{16,}/g)].flatMap(([run]) => shifted(run, 2, "hex")),
    ...[...text.matchAll(/[A-Za-z0-9+/_-]{11,}/g)].flatMap(([run]) => shifted(run, 4, "base64")),
  ];
  return [text, once, unescaped(once), percentDecoded(text), entitiesDecoded(text), ...runs];
}

/** Decodes a run of digits from each of its first characters, because any of them may begin a group. */
function shifted(run: string, groupSize: number, encoding: "hex" | "base64"): string[] {
  return Array.from({ length: groupSize }, (_, skip) =>
    Buffer.from(run.slice(skip), encoding).toString("latin1"),
  );
}

/** Decodes the escapes of JSON and Python. */
function unescaped(text: string): string {
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))/gs, (_all, code, byte, other) => {
    if (code !== undefined) return asBytes(String.fromCharCode(Number.parseInt(code, 16)));
    return byte === undefined ? other : String.fromCharCode(Number.parseInt(byte, 16));
  });
}

function percentDecoded(text: string): string {
  return text
    .replaceAll("+", " ")
    .replace(/%([0-9a-fA-F]{2})/g, (_all, byte) => String.fromCharCode(Number.parseInt(byte, 16)));
}

const ENTITIES: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

function entitiesDecoded(text: string): string {
  return text
    .replace(/&#x([0-9a-f]{1,6});/gi, (_all, code) =>
      asBytes(String.fromCodePoint(Number.parseInt(code, 16))),
    )
    .replace(/&#(\d{1,7});/g, (_all, code) => asBytes(String.fromCodePoint(Number(code))))
    .replace(/&(lt|gt|amp|quot|apos);/g, (all, name) => ENTITIES[name] ?? all);
}
