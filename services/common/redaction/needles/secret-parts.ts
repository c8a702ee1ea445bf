import { isUtf8 } from "node:buffer";
import { parseAllDocuments } from "yaml";
import { namedValuesOf, unescaped } from "./named-values.ts";
import { bytesMeant } from "./other-forms.ts";
import { MIN_PIECE_CHARACTERS } from "./padding.ts";
import {
  isPlaceholderWord,
  namesCommonSetting,
  namesPassword,
  namesSecretNumber,
  SECRET_NAME,
} from "./secret-names.ts";
import { decoded, queryOf, urlsIn, userInfosOf } from "./url-parts.ts";

/** A piece of a secret that leaves on its own when ordinary code takes the secret apart. */
export type Part = { readonly text: string; readonly isNamedSecret: boolean };

const MIN_LINE_BYTES = 12;
const MIN_LEAF_CHARACTERS = 8;
/** What is called a password, or stands where one stands, is one from here on. */
const MIN_NAMED_CHARACTERS = 6;
/** Base64 of fewer characters could be any word. */
const MIN_NAMED_BASE64_CHARACTERS = 8;
const MAX_DEPTH = 4;

/** Letters of one case, as of a word or a name. */
const WORD = /^(?:\p{Lu}?[\p{Ll}]+|\p{Lu}+)(?:[_ -](?:\p{Lu}?[\p{Ll}]+|\p{Lu}+))*$/u;
const MAX_WORD_CHARACTERS = 12;

/** Whether a value is a word that may stand in any output, such as `postgres`. */
export function isWord(value: string): boolean {
  return value.length <= MAX_WORD_CHARACTERS && /^(?:\p{Lu}?\p{Ll}+|\p{Lu}+)$/u.test(value);
}

/**
 * Why a text is a part. A `field` has no name that says so, and is none if it is made of words, or a host, a date or a media
 * type; a `setting` has a name that says it is no secret; what stands under the name of a secret is one from fewer characters on;
 * a `password` and the `same` value written otherwise may be words.
 */
type Role = "field" | "setting" | "named" | "password" | "same";

/** Takes a text for a part, unless it is too short or too common. */
type Add = (text: string, role?: Role) => void;

/** What a value is made of. */
export type Parts = {
  /** All parts, without the value itself, each once. */
  readonly parts: readonly Part[];
  /** Texts that stand in the value and are no secret: hosts, and what settings such as `project_id` are given. */
  readonly commonTexts: readonly string[];
};

/** Of a value that has no common texts the parts alone. */
export function partsOf(value: string): Part[] {
  return [...takenApart(value).parts];
}

/** The parts of a value, and what in it is none. */
export function takenApart(value: string): Parts {
  const commonTexts = new Set<string>();
  const parts = new Map<string, Part>();
  const fields = new Set<string>();
  const seen = new Set<string>();

  const takeApart = (text: string, depth: number): void => {
    if (depth >= MAX_DEPTH || seen.has(text)) return;
    seen.add(text);
    const add: Add = (part, role = "field") => {
      const isNamedSecret = role === "named" || role === "password";
      const isWords = WORD.test(part);
      if (role === "field" && isWords) fields.add(part);
      if (role === "setting" || (role === "field" && isCommon(part))) {
        if (isCommonName(part)) commonTexts.add(part);
        return;
      }
      if (part === value || part.length < (role === "field" ? MIN_LEAF_CHARACTERS : MIN_NAMED_CHARACTERS))
        return;
      if (isWords && (role === "field" || role === "named" || isPlaceholderWord(part))) return;
      const known = parts.get(part);
      if (!known?.isNamedSecret) parts.set(part, { text: part, isNamedSecret });
      const inBase64 = isNamedSecret ? namedBase64(part) : undefined;
      if (inBase64 !== undefined) add(inBase64, role);
      takeApart(part, depth + 1);
    };
    addAll(text, add);
  };
  takeApart(value, 0);
  // A password that is also the user, as in `postgres://postgres:postgres@host`, is told by the other.
  return {
    parts: [...parts.values()].filter(({ text }) => !fields.has(text)),
    commonTexts: [...commonTexts],
  };
}

/** Names of projects and hosts, as people write them. A shorter one is no piece of a secret. */
function isCommonName(text: string): boolean {
  const isName = /^[a-z0-9]+(?:[-_][a-z0-9]+)+$/.test(text) || /^[a-z0-9-]+(?:\.[a-z0-9-]+){2,}$/.test(text);
  return isName && text.length >= MIN_PIECE_CHARACTERS;
}

function addAll(value: string, add: Add): void {
  bare(value, add);
  meant(value, add);
  const json = parsedJson(value);
  if (json !== undefined) {
    leaves(json, "", add);
    return;
  }
  for (const document of parsedYaml(value)) leaves(document, "", add);
  lines(value, add);
  assignments(value, add);
  named(value, add);
  for (const url of urlsIn(value)) userInfo(url, add);
  query(value, add);
  authorization(value, add);
  credentials(value, add);
}

/** What `text` is under this name. A number is a date, a size or an amount more often than a secret. */
function roleOf(name: string, text: string): Role {
  if (/^[+-]?\d[\d.,_' ]*(?:e[+-]?\d+)?$/i.test(text))
    return namesSecretNumber(name) ? "password" : "setting";
  if (namesPassword(name)) return "password";
  if (SECRET_NAME.test(name)) return "named";
  return namesCommonSetting(name) ? "setting" : "field";
}

/** What stands in much output that has nothing to do with a secret. */
const COMMON: readonly RegExp[] = [
  // Hosts, whose labels have one case each, and addresses, with a port or without.
  /^(?:tcp:)?(?:(?:[a-z0-9-]+|[A-Z0-9-]+)\.)+(?:[a-z]{2,}|[A-Z]{2,})(?:[:,]\d{1,5})?$/,
  /^(?:tcp:)?\d{1,3}(?:\.\d{1,3}){3}(?:[:,/]\d{1,5})?$/,
  /^\[?[\da-f:]*::[\da-f:.]*\]?(?::\d{1,5}|\/\d{1,3})?$/i,
  // Dates.
  /^\d{1,4}([-./])\d{1,2}\1\d{1,4}(?:[T ,][\d:., +Z-]*)?$/,
  /^\d{8}T?\d{0,6}Z?$|^\d{4}[-/]\d{2,4}$/,
  // Media types, and names such as `eu-north-1`.
  /^[a-z]+\/[a-z0-9.+-]+$/,
  /^[a-z]+(?:[-_][a-z]+)+[-_]\d{1,2}$/,
];

function isCommon(text: string): boolean {
  return COMMON.some((common) => common.test(text));
}

/** The text that a value in Base64 under the name of a secret stands for, as in a Secret of Kubernetes. */
function namedBase64(text: string): string | undefined {
  if (text.length < MIN_NAMED_BASE64_CHARACTERS || text.length % 4 !== 0) return undefined;
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return undefined;
  const bytes = Buffer.from(text, "base64");
  const meant = bytes.toString().trim();
  return isUtf8(bytes) && /^[\P{C}\r\n\t]+$/u.test(meant) ? meant : undefined;
}

/** Without blanks, quotes, and the padding of Base64. */
function bare(value: string, add: Add): void {
  const trimmed = value.trim();
  add(trimmed, "same");
  const quoted = /^(["'`])(.+)\1$/s.exec(trimmed);
  if (quoted) {
    add(quoted[2] as string, "same");
    // JSON in a string of JSON.
    const text = quoted[1] === '"' ? jsonOf(trimmed) : undefined;
    if (typeof text === "string") add(text, "same");
  }
  if (/^[A-Za-z0-9+/_-]{6,}={1,2}$/.test(value)) add(value.replace(/=+$/, ""));
}

/** The text that a value in Base64 or hexadecimal digits stands for, such as `user:password`. */
function meant(value: string, add: Add): void {
  const text = textMeant(value);
  if (text !== undefined) add(text, "same");
}

/** The printable text that a value in Base64 or hexadecimal digits stands for, if it stands for one. */
export function textMeant(value: string): string | undefined {
  const bytes = bytesMeant(value.trim());
  if (bytes === undefined || !isUtf8(bytes)) return undefined;
  const text = bytes.toString();
  return /^[\P{C}\r\n\t]{8,}$/u.test(text) ? text : undefined;
}

function parsedJson(value: string): unknown {
  return /^\s*[[{]/.test(value) ? jsonOf(value) : undefined;
}

/** Numbers that are passwords are given as they are written, because a double would lose digits. */
function jsonOf(value: string): unknown {
  const written = (key: string, member: unknown, context?: { readonly source?: string }) =>
    typeof member === "number" && namesSecretNumber(key) ? (context?.source ?? member) : member;
  try {
    // TypeScript does not know the third parameter yet.
    return JSON.parse(value, written as (key: string, member: unknown) => unknown);
  } catch {
    // Text that only begins like JSON.
    return undefined;
  }
}

/** The documents of a text of several lines in YAML; none of another text. */
function parsedYaml(value: string): unknown[] {
  if (value.length > MAX_YAML_CHARACTERS || !YAML_MAPPING.test(value)) return [];
  const documents = parseAllDocuments(value, { intAsBigInt: true, logLevel: "silent" });
  if (!Array.isArray(documents) || documents.some(({ errors }) => errors.length > 0)) return [];
  try {
    return documents.map((document) => document.toJS({ maxAliasCount: 100 }) as unknown);
  } catch {
    // More aliases than that.
    return [];
  }
}

const MAX_YAML_CHARACTERS = 64 * 1024;
/** A name with a value below it or beside it, and another line. */
const YAML_MAPPING = /^[ \t]*(?:- )?["']?[A-Za-z_][\w.-]*["']?:(?: .*)?\r?\n/m;

/** Strings of a document; numbers under the name of a password, too. */
function leaves(value: unknown, name: string, add: Add): void {
  if (typeof value === "string") {
    // An address is no secret, but what it carries may be; `add` would take it whole.
    if (isUrlWithoutUser(value)) query(value, add);
    else add(value.trim(), roleOf(name, value.trim()));
  } else if (typeof value === "number" || typeof value === "bigint") {
    if (namesSecretNumber(name)) add(String(value), "password");
  } else if (Array.isArray(value)) {
    for (const member of value) leaves(member, name, add);
  } else if (value !== null && typeof value === "object") {
    // `{"name": "DB_PASSWORD", "value": "…"}`, as of a container's environment.
    const members = Object.entries(value);
    const [, named] = members.find(([key]) => /^(?:name|key)$/i.test(key)) ?? [];
    // A `value` without such a name has the name of its object: `{"db_password": {"type": "string", "value": "…"}}`, as Terraform writes it.
    const given = typeof named === "string" ? named : name;
    for (const [key, member] of members) leaves(member, /^(?:value|default)$/i.test(key) ? given : key, add);
  }
}

function isUrlWithoutUser(text: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\/[^@]*$/i.test(text);
}

/** Long lines of more than one kind of character: not `enabled: true`, nor the first line of a private key. */
function lines(value: string, add: Add): void {
  const all = value.split(/\r\n|\r|\n/);
  if (all.length === 1) return;
  for (const line of all) {
    const isTelling = kindsOf(line) > 1 || /[^\x20-\x7e]/.test(line);
    if (isTelling && Buffer.byteLength(line) >= MIN_LINE_BYTES && !/^-{5}.*-{5}$/.test(line)) add(line);
  }
}

/** How many of small letters, capitals and digits a text has. */
function kindsOf(text: string): number {
  return [/[a-z]/, /[A-Z]/, /[0-9]/].filter((kind) => kind.test(text)).length;
}

/** `KEY=value`, `key: value` and `Server=…;Password=…`, with quotes or without, each as far as its line or semicolon goes. */
function assignments(value: string, add: Add): void {
  for (const item of value.split(/[\r\n;]+/)) {
    const match = /^\s*(?:export\s+|-\s+)?["']?([A-Za-z_][\w. -]*?)["']?\s*(?:=|:\s)\s*(.+?)\s*,?$/.exec(
      item,
    );
    if (!match) continue;
    const [, name = "", text = ""] = match;
    const quoted = /^(["'])(.*)\1$/.exec(text);
    // Of a URL only what it carries is secret.
    const given = quoted ? (quoted[2] as string) : text;
    if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) add(given, roleOf(name, given));
  }
}

/** What a name says is secret, anywhere in a value; under other names what looks like it. */
function named(value: string, add: Add): void {
  for (const [name, text] of namedValuesOf(value)) {
    if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) continue;
    const role = roleOf(name, text);
    // An address such as `host=db.internal` is no secret.
    if (role === "field" && (kindsOf(text) < 3 || !/^[^\s=:]+$/.test(text) || !isGiven(value, text)))
      continue;
    for (const each of new Set([text, decoded(text), unescaped(text)])) add(each, role);
  }
}

function isGiven(value: string, text: string): boolean {
  return ["=", '="', "='"].some((sign) => value.includes(sign + text));
}

/** Of `scheme://user:password@host`, as it stands and decoded. */
function userInfo(url: string, add: Add): void {
  for (const { user, password } of userInfosOf(url)) {
    for (const text of new Set([password, decoded(password)])) add(text, "password");
    for (const text of new Set([user, decoded(user)])) if (/[0-9]/.test(text) || WORD.test(text)) add(text);
  }
}

/** What a query gives secret names. */
function query(value: string, add: Add): void {
  for (const [name, text] of queryOf(value)) {
    if (!SECRET_NAME.test(name)) continue;
    for (const each of new Set([text, decoded(text)])) add(each, roleOf(name, each));
  }
}

/** The credentials of `Bearer …`, `Basic …` and the like. */
function authorization(value: string, add: Add): void {
  const match = /^(?:bearer|basic|token|apikey|digest|negotiate)\s+(\S+)$/i.exec(value.trim());
  const text = match?.[1] ?? "";
  add(text, "named");
  if (/^basic\s/i.test(value)) add(Buffer.from(text, "base64").toString());
}

/** Passwords that stand behind a user: `user:password`, with `@host` behind it or not, PostgreSQL's `.pgpass`, and Oracle's `user/password@host:port`. */
function credentials(value: string, add: Add): void {
  const pair = /^([^\s:/]+):(?!\S*:\/\/|\/\/)(\S+)$/.exec(value.trim());
  if (pair) {
    if (WORD.test(pair[1] as string)) add(pair[1] as string);
    add(pair[2] as string, "password");
    const before = /^(\S+)@(?:\w+\([^()\s]*\)|[\w.-]+(?::\d+)?)(?:\/\S*)?$/.exec(pair[2] as string);
    if (before) add(before[1] as string, "password");
  }
  for (const [, password = ""] of value.matchAll(/^[^:\s#]+:(?:\d+|\*):[^:\s]+:[^:\s]+:(.+)$/gm))
    add(password.replaceAll(/\\([:\\])/g, "$1"), "password");
  const oracle = /^(?:jdbc:oracle:thin:)?[\w$#.-]+\/(\S+)@(?:\/\/)?[\w.-]+(?::\d+|\/\w+)/.exec(value.trim());
  if (oracle) add(oracle[1] as string, "password");
}
