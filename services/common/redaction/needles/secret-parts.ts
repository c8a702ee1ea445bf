import { isUtf8 } from "node:buffer";
import { parseAllDocuments } from "yaml";
import { isCommon, isCommonName } from "./common-texts.ts";
import { elementsOf, joinedGroups } from "./list-parts.ts";
import { namedValuesOf, unescaped } from "./named-values.ts";
import { bytesMeant } from "./other-forms.ts";
import { MIN_PIECE_CHARACTERS } from "./padding.ts";
import { isPlaceholderWord, namesSecretNumber, type Role, roleOf, SECRET_NAME } from "./secret-names.ts";
import { decoded, queryOf, urlsIn, userInfosOf } from "./url-parts.ts";
import { isWrittenName } from "./words.ts";

/**
 * A part of a secret value that ordinary code takes out of the value, such as the password in a URL, so that
 * the part appears in output by itself.
 */
export type Part = { readonly text: string; readonly isNamedSecret: boolean };

/** Bytes of the shortest line of a multi-line value that is searched for by itself. */
const MIN_LINE_BYTES = 12;
/** Characters of the shortest part that is searched for without the name of a secret. */
const MIN_LEAF_CHARACTERS = 8;
/**
 * Characters of the shortest part that is searched for when it has the name of a secret, or stands where a
 * password stands, as in a URL.
 */
const MIN_NAMED_CHARACTERS = 6;
/**
 * Characters of the shortest Base64 text under the name of a secret that is decoded. A shorter text could be
 * any word.
 */
const MIN_NAMED_BASE64_CHARACTERS = 8;
/** The most levels at which a value and its parts are taken apart, such as JSON in JSON. */
const MAX_DEPTH = 4;

/** A word or a name: letters of one case, perhaps with a capital first. */
const WORD = /^(?:\p{Lu}?[\p{Ll}]+|\p{Lu}+)(?:[_ -](?:\p{Lu}?[\p{Ll}]+|\p{Lu}+))*$/u;
const MAX_WORD_CHARACTERS = 12;

/** Whether a value is a word that may stand in any output, such as `postgres`. */
export function isWord(value: string): boolean {
  return value.length <= MAX_WORD_CHARACTERS && /^(?:\p{Lu}?\p{Ll}+|\p{Lu}+)$/u.test(value);
}

/**
 * Records a text as a part of the secret, to be searched for, unless it is too short or too common. An
 * undefined role means "field". `name` is the name under which the text stands, or empty.
 */
type Add = (text: string, role?: Role, name?: string) => void;

/** The parts of a secret value that are searched for, and the texts in the value that are no secret. */
export type Parts = {
  /** All parts, each once. The value itself is not among them. */
  readonly parts: readonly Part[];
  /** Texts inside the value that are no secret: hosts, and values of settings such as `project_id`. */
  readonly commonTexts: readonly string[];
  /** Numbers inside the value that are no secret: times, sizes, amounts, and numbers of accounts. */
  readonly commonNumbers: ReadonlySet<string>;
};

/** The parts of a secret value, for callers that do not need the texts in it that are no secret. */
export function partsOf(value: string, name = ""): Part[] {
  return [...takenApart(value, name).parts];
}

/**
 * Finds in a secret value its parts, such as the password in a URL, and the texts that are no secret, such as
 * hosts. `name` is the secret's name.
 */
export function takenApart(value: string, name = ""): Parts {
  const commonTexts = new Set<string>();
  const commonNumbers = new Set<string>();
  const parts = new Map<string, Part>();
  const fields = new Set<string>();
  const seen = new Set<string>();

  const takeApart = (text: string, depth: number, textName: string): void => {
    if (depth >= MAX_DEPTH || seen.has(text)) return;
    seen.add(text);
    const add: Add = (part, role = "field", partName = "") => {
      const isNamedSecret = role === "named" || role === "password";
      const isWords = WORD.test(part);
      if (role === "field" && isWords) fields.add(part);
      if (role === "number") {
        if (part.length >= MIN_PIECE_CHARACTERS) commonNumbers.add(part);
        return;
      }
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
      takeApart(part, depth + 1, role === "same" ? textName : partName);
    };
    addAll(text, add, textName);
  };
  takeApart(value, 0, name);
  const joined = joinedGroups(value);
  if (joined !== undefined) parts.set(joined, { text: joined, isNamedSecret: true });
  // A password that is also the user, as in `postgres://postgres:postgres@host`, is not searched for, because
  // the user name reveals it anyway.
  return {
    parts: [...parts.values()].filter(({ text }) => !fields.has(text)),
    commonTexts: [...commonTexts],
    commonNumbers,
  };
}

function addAll(value: string, add: Add, valueName: string): void {
  bare(value, add);
  meant(value, add);
  const json = parsedJson(value);
  if (json !== undefined) {
    leaves(json, "", add, valueName);
    return;
  }
  for (const [text, role] of elementsOf(value, valueName)) add(text, role);
  for (const document of parsedYaml(value)) leaves(document, "", add);
  lines(value, add);
  assignments(value, add);
  named(value, add);
  for (const url of urlsIn(value)) userInfo(url, add);
  query(value, add);
  authorization(value, add);
  credentials(value, add);
}

/**
 * The text that Base64 under the name of a secret encodes, as in a Kubernetes Secret; undefined when it
 * encodes no printable text.
 */
function namedBase64(text: string): string | undefined {
  if (text.length < MIN_NAMED_BASE64_CHARACTERS || text.length % 4 !== 0) return undefined;
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return undefined;
  const bytes = Buffer.from(text, "base64");
  const meant = bytes.toString().trim();
  return isUtf8(bytes) && /^[\P{C}\r\n\t]+$/u.test(meant) ? meant : undefined;
}

/** Adds the value without surrounding blanks and quotes, and without the padding of Base64. */
function bare(value: string, add: Add): void {
  const trimmed = value.trim();
  add(trimmed, "same");
  const quoted = /^(["'`])(.+)\1$/s.exec(trimmed);
  if (quoted) {
    add(quoted[2] as string, "same");
    // A JSON string may itself hold JSON.
    const text = quoted[1] === '"' ? jsonOf(trimmed) : undefined;
    if (typeof text === "string") add(text, "same");
  }
  if (/^[A-Za-z0-9+/_-]{6,}={1,2}$/.test(value)) add(value.replace(/=+$/, ""));
}

/** Adds the text that a value in Base64 or hexadecimal digits encodes, such as `user:password`. */
function meant(value: string, add: Add): void {
  const text = textMeant(value);
  if (text !== undefined) add(text, "same");
}

/**
 * The printable text that a value in Base64 or hexadecimal digits encodes; undefined when it encodes none.
 */
export function textMeant(value: string): string | undefined {
  const bytes = bytesMeant(value.trim());
  if (bytes === undefined || !isUtf8(bytes)) return undefined;
  const text = bytes.toString();
  return /^[\P{C}\r\n\t]{8,}$/u.test(text) ? text : undefined;
}

function parsedJson(value: string): unknown {
  return /^\s*[[{]/.test(value) ? jsonOf(value) : undefined;
}

/**
 * Parses JSON; undefined when the text is not JSON. Numbers under the name of a password, and numbers that a
 * double may not hold, are returned as text, because a double would lose digits.
 */
function jsonOf(value: string): unknown {
  const written = (key: string, member: unknown, context?: { readonly source?: string }) =>
    typeof member === "number" && (namesSecretNumber(key) || !Number.isSafeInteger(member))
      ? (context?.source ?? member)
      : member;
  try {
    // TypeScript does not know the third parameter of the reviver yet.
    return JSON.parse(value, written as (key: string, member: unknown) => unknown);
  } catch {
    // The text begins like JSON and is none.
    return undefined;
  }
}

/** The YAML documents in a multi-line text; empty for any other text. */
function parsedYaml(value: string): unknown[] {
  if (value.length > MAX_YAML_CHARACTERS || !YAML_MAPPING.test(value)) return [];
  const documents = parseAllDocuments(value, { intAsBigInt: true, logLevel: "silent" });
  if (!Array.isArray(documents) || documents.some(({ errors }) => errors.length > 0)) return [];
  try {
    return documents.map((document) => document.toJS({ maxAliasCount: 100 }) as unknown);
  } catch {
    // The YAML text has more than 100 aliases, so it is not taken apart as YAML.
    return [];
  }
}

const MAX_YAML_CHARACTERS = 64 * 1024;
/** A line with a name and a colon, with or without a value, and another line after it. */
const YAML_MAPPING = /^[ \t]*(?:- )?["']?[A-Za-z_][\w.-]*["']?:(?: .*)?\r?\n/m;

/**
 * Adds the strings and numbers of a parsed JSON or YAML document; `name` is the key under which `value`
 * stands, or empty.
 */
function leaves(value: unknown, name: string, add: Add, documentName = ""): void {
  if (typeof value === "string") {
    // A URL without a user is no secret, but its query may have secrets; `add` would take the whole URL.
    if (isUrlWithoutUser(value)) query(value, add);
    else add(value.trim(), roleIn(documentName, name, value.trim()), name);
  } else if (typeof value === "number" || typeof value === "bigint") {
    add(String(value), roleOf(name, String(value)));
  } else if (Array.isArray(value)) {
    // Numbers in a list may be recovery codes, whatever the list's name is, so they are not recorded as
    // harmless numbers.
    const addMember: Add = (text, role, of) => add(text, role === "number" ? "setting" : role, of);
    for (const member of value)
      leaves(member, name, typeof member === "object" ? add : addMember, documentName);
  } else if (value !== null && typeof value === "object") {
    // An object such as `{"name": "DB_PASSWORD", "value": "…"}`, as in a container's environment, gives the
    // name for its value.
    const members = Object.entries(value);
    const [, named] = members.find(([key]) => /^(?:name|key)$/i.test(key)) ?? [];
    // A member `value` takes the name of its object when no name is given: `{"db_password": {"type":
    // "string", "value": "…"}}`, as Terraform writes it.
    const given = typeof named === "string" ? named : name;
    for (const [key, member] of members) {
      // The names in a document are in the documents of all projects: `auth_provider_x509_cert_url`.
      if (isWrittenName(key)) add(key, "setting");
      leaves(member, /^(?:value|default)$/i.test(key) ? given : key, add, documentName);
    }
  }
}

/**
 * The role of a string in a document whose own name is that of a secret, such as `DB_PASSWORDS: {"alice": "Vb7kQ9x"}`:
 * fewer characters suffice for a text that is no name, such as `redis7`.
 */
function roleIn(documentName: string, name: string, text: string): Role {
  const role = roleOf(name, text);
  const isShortSecret =
    role === "field" &&
    text.length < MIN_LEAF_CHARACTERS &&
    SECRET_NAME.test(documentName) &&
    !isCommon(text) &&
    !isWrittenName(text);
  return isShortSecret ? "named" : role;
}

function isUrlWithoutUser(text: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\/[^@]*$/i.test(text);
}

/**
 * Adds long lines with more than one kind of character. Lines such as `enabled: true`, or the first line of a
 * private key, are left out.
 */
function lines(value: string, add: Add): void {
  const all = value.split(/\r\n|\r|\n/);
  if (all.length === 1) return;
  for (const line of all) {
    const isTelling = kindsOf(line) > 1 || /[^\x20-\x7e]/.test(line);
    if (!isTelling || Buffer.byteLength(line) < MIN_LINE_BYTES || /^-{5}.*-{5}$/.test(line)) continue;
    if (!mostlyGivesSecret(line)) add(line);
  }
}

/**
 * Whether most of a line is the value of a secret's name, which is a part by itself. The line is then no part,
 * because a file of a thousand such lines would have twice as many parts.
 */
function mostlyGivesSecret(line: string): boolean {
  const [name, text] = assignmentIn(line) ?? ["", ""];
  const role = roleOf(name, text);
  return (role === "named" || role === "password") && kindsOf(text) > 1 && text.length * 2 > line.length;
}

/** The number of kinds of characters in a text: small letters, capitals, digits. */
function kindsOf(text: string): number {
  return [/[a-z]/, /[A-Z]/, /[0-9]/].filter((kind) => kind.test(text)).length;
}

/**
 * Adds the values of `KEY=value`, `key: value` and `Server=…;Password=…`, with quotes or without, each up to
 * the end of its line or a semicolon.
 */
function assignments(value: string, add: Add): void {
  for (const item of value.split(/[\r\n;]+/)) {
    const [name, given] = assignmentIn(item) ?? ["", ""];
    if (name !== "") add(given, roleOf(name, given), name);
  }
}

/**
 * The name and the value of `KEY=value` and `key: value`, without quotes; undefined for any other text. A URL is
 * no such value, because only its user info and query may be secret.
 */
function assignmentIn(item: string): readonly [name: string, value: string] | undefined {
  const match = /^\s*(?:export\s+|-\s+)?["']?([A-Za-z_][\w. -]*?)["']?\s*(?:=|:\s)\s*(.+?)\s*,?$/.exec(item);
  const [, name = "", text = ""] = match ?? [];
  if (name === "" || /^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return undefined;
  return [name, /^(["'])(.*)\1$/.exec(text)?.[2] ?? text];
}

/**
 * Adds values under the name of a secret, anywhere in the text, and under other names values that look like a
 * secret.
 */
function named(value: string, add: Add): void {
  for (const [name, text] of namedValuesOf(value)) {
    if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) continue;
    const role = roleOf(name, text);
    // Under a name that is not a secret's, a text such as the host in `host=db.internal` is no secret.
    if (role === "field" && (kindsOf(text) < 3 || !/^[^\s=:]+$/.test(text) || !isGiven(value, text)))
      continue;
    for (const each of new Set([text, decoded(text), unescaped(text)])) add(each, role, name);
  }
}

function isGiven(value: string, text: string): boolean {
  return ["=", '="', "='"].some((sign) => value.includes(sign + text));
}

/** Adds user and password of `scheme://user:password@host`, as written and decoded. */
function userInfo(url: string, add: Add): void {
  for (const { user, password } of userInfosOf(url)) {
    for (const text of new Set([password, decoded(password)])) add(text, "password");
    for (const text of new Set([user, decoded(user)])) if (/[0-9]/.test(text) || WORD.test(text)) add(text);
  }
}

/** Adds the values under the names of secrets in a query string. */
function query(value: string, add: Add): void {
  for (const [name, text] of queryOf(value)) {
    if (!SECRET_NAME.test(name)) continue;
    for (const each of new Set([text, decoded(text)])) add(each, roleOf(name, each));
  }
}

/** Adds the credentials of `Bearer …`, `Basic …` and similar headers. */
function authorization(value: string, add: Add): void {
  const match = /^(?:bearer|basic|token|apikey|digest|negotiate)\s+(\S+)$/i.exec(value.trim());
  const text = match?.[1] ?? "";
  add(text, "named");
  if (/^basic\s/i.test(value)) add(Buffer.from(text, "base64").toString());
}

/**
 * Adds passwords that follow a user: `user:password`, with or without `@host`, PostgreSQL's `.pgpass`, and
 * Oracle's `user/password@host:port`.
 */
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
