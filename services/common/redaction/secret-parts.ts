import { SECRET_NAME } from "./random-looking.ts";

/** A piece of a secret that leaves on its own when ordinary code takes the secret apart. */
export type Part = { readonly text: string; readonly isNamedSecret: boolean };

const MIN_LINE_BYTES = 12;
const MIN_LEAF_CHARACTERS = 8;
/** What is called a password, or stands where one stands, is one from here on. */
const MIN_NAMED_CHARACTERS = 6;
const MAX_DEPTH = 4;
const MAX_PARTS = 500;

/** Letters of one case, as of a word or a name. */
const WORD = /^(?:\p{Lu}?[\p{Ll}]+|\p{Lu}+)(?:[_ -](?:\p{Lu}?[\p{Ll}]+|\p{Lu}+))*$/u;
const MAX_WORD_CHARACTERS = 12;

/** Whether a value is a word that may stand in any output, such as `postgres`. */
export function isWord(value: string): boolean {
  return value.length <= MAX_WORD_CHARACTERS && /^(?:\p{Lu}?\p{Ll}+|\p{Lu}+)$/u.test(value);
}

/** All parts of a value, without the value itself, each once. */
export function partsOf(value: string): Part[] {
  const parts = new Map<string, Part>();
  takeApart(value, 0, (part) => {
    if (part.text === value || parts.size >= MAX_PARTS) return false;
    const known = parts.get(part.text);
    if (!known || (part.isNamedSecret && !known.isNamedSecret)) parts.set(part.text, part);
    return known === undefined;
  });
  return [...parts.values()];
}

/** Takes a part; false when it was known, so that it is not taken apart again. */
type Take = (part: Part) => boolean;

function takeApart(value: string, depth: number, take: Take): void {
  if (depth >= MAX_DEPTH) return;
  const add = (text: string, isNamedSecret = false) => {
    const min = isNamedSecret ? MIN_NAMED_CHARACTERS : MIN_LEAF_CHARACTERS;
    if (text.length < min || WORD.test(text)) return;
    if (take({ text, isNamedSecret })) takeApart(text, depth + 1, take);
  };
  bare(value, add);
  const json = parsedJson(value);
  if (json !== undefined) {
    jsonLeaves(json, "", add);
    return;
  }
  lines(value, add);
  assignments(value, add);
  userInfo(value, add);
  query(value, add);
  authorization(value, add);
}

type Add = (text: string, isNamedSecret?: boolean) => void;

/** Without blanks, quotes, and the padding of Base64. */
function bare(value: string, add: Add): void {
  add(value.trim());
  const quoted = /^(["'`])(.+)\1$/s.exec(value.trim());
  if (quoted) add(quoted[2] as string);
  if (/^[A-Za-z0-9+/_-]{6,}={1,2}$/.test(value)) add(value.replace(/=+$/, ""));
}

function parsedJson(value: string): unknown {
  if (!/^\s*[[{]/.test(value)) return undefined;
  try {
    return JSON.parse(value);
  } catch {
    // Text that only begins like JSON.
    return undefined;
  }
}

function jsonLeaves(json: unknown, name: string, add: Add): void {
  if (typeof json === "string") {
    // An address is no secret, but what it carries may be; `add` would take it whole.
    if (/^[a-z][a-z0-9+.-]*:\/\/[^@]*$/i.test(json)) query(json, add);
    else add(json, SECRET_NAME.test(name));
  } else if (json !== null && typeof json === "object") {
    for (const [key, member] of Object.entries(json))
      jsonLeaves(member, Array.isArray(json) ? name : key, add);
  }
}

/** Long lines of more than one kind of character: not `enabled: true`, nor the first line of a private key. */
function lines(value: string, add: Add): void {
  const all = value.split(/\r\n|\r|\n/);
  if (all.length === 1) return;
  for (const line of all) {
    const kinds = [/[a-z]/, /[A-Z]/, /[0-9]/].filter((kind) => kind.test(line)).length;
    const isTelling = kinds > 1 || /[^\x20-\x7e]/.test(line);
    if (isTelling && Buffer.byteLength(line) >= MIN_LINE_BYTES && !/^-{5}.*-{5}$/.test(line)) add(line);
  }
}

/** `KEY=value`, `key: value` and `Server=…;Password=…`, with quotes or without. */
function assignments(value: string, add: Add): void {
  for (const item of value.split(/[\r\n;]+/)) {
    const match = /^\s*(?:export\s+|-\s+)?["']?([A-Za-z_][\w. -]*?)["']?\s*(?:=|:\s)\s*(.+?)\s*,?$/.exec(
      item,
    );
    if (!match) continue;
    const [, name = "", text = ""] = match;
    const isNamedSecret = SECRET_NAME.test(name);
    const quoted = /^(["'])(.*)\1$/.exec(text);
    if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) takeUrl(text, add);
    else add(quoted ? (quoted[2] as string) : text, isNamedSecret);
  }
}

function takeUrl(text: string, add: Add): void {
  userInfo(text, add);
  query(text, add);
}

/** Of `scheme://user:password@host`, as it stands and decoded. */
function userInfo(value: string, add: Add): void {
  const match = /^[a-z][a-z0-9+.-]*:\/\/([^/?#\s]*)@/i.exec(value.trim());
  if (!match) return;
  const [user = "", ...rest] = (match[1] as string).split(":");
  const password = rest.join(":");
  for (const text of [password, decoded(password)]) add(text, true);
  for (const text of [user, decoded(user)]) if (/[0-9]/.test(text)) add(text);
}

/** What a URL's query gives secret names. */
function query(value: string, add: Add): void {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(value)) return;
  for (const [, name = "", text = ""] of value.matchAll(/[?&;]([^=&;#\s]+)=([^&;#\s]+)/g)) {
    if (!SECRET_NAME.test(name) && name !== "sig") continue;
    for (const each of [text, decoded(text)]) add(each, true);
  }
}

/** The credentials of `Bearer …`, `Basic …` and the like, and a password behind a colon. */
function authorization(value: string, add: Add): void {
  const match = /^(?:bearer|basic|token|apikey|digest|negotiate)\s+(\S+)$/i.exec(value.trim());
  const credentials = match?.[1] ?? "";
  add(credentials, true);
  if (/^basic\s/i.test(value)) add(Buffer.from(credentials, "base64").toString());
  const pair = /^[^\s:/]+:([^\s:]+)$/.exec(value.trim());
  if (pair) add(pair[1] as string, true);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A lone percent sign: it was not encoded.
    return text;
  }
}
