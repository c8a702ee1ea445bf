import { namesPassword } from "./secret-names.ts";

/** A name in a text, and what may be the value that the text gives it. */
export type NamedValue = readonly [name: string, value: string];

/** Names and values that stand in other forms than `name=value` and `name: value`. */
export function* otherNamedValues(text: string): Iterable<NamedValue> {
  yield* besideEachOther(text);
  yield* inAttributes(text);
  yield* inDoubledQuotes(text);
  yield* inTripleQuotes(text);
  yield* behindBlanks(text);
  yield* inColumns(text);
  yield* ofCommands(text);
}

/** Elements beside each other: `<name>…</name><value>…</value>` of Hadoop, `<key>…</key><string>…</string>` of property lists. */
function* besideEachOther(text: string): Iterable<NamedValue> {
  const pairs = /<(?:name|key)>([^<>]{1,200})<\/(?:name|key)>\s{0,100}<(?:value|string)>([^<>]+)<\//gi;
  for (const [, name = "", value = ""] of text.matchAll(pairs)) yield [name.trim(), value.trim()];
}

/** `<add key="Password" value="…"/>`. */
function* inAttributes(text: string): Iterable<NamedValue> {
  const pairs =
    /\b(?:name|key)\s?=\s?(["'])([^"'<>\n]{1,200})\1\s{1,20}value\s?=\s?(["'])([^<>\n]{1,4096}?)\3/gi;
  for (const [, , name = "", , value = ""] of text.matchAll(pairs)) yield [name, value];
}

/** Quotes and braces that a value holds are written twice in connection strings: `Password="a""b"`, `PWD={a}}b}`. */
function* inDoubledQuotes(text: string): Iterable<NamedValue> {
  for (const [quote, end] of ['""', "''", "{}"] as const) {
    const pairs = new RegExp(
      `([A-Za-z_][\\w. -]{0,63}?)\\s?=\\s?\\${quote}((?:[^${end}\\n]|${end}${end})*)${end}(?!${end})`,
      "g",
    );
    for (const [, name = "", value = ""] of text.matchAll(pairs)) {
      if (value.includes(`${end}${end}`)) yield [name, value.replaceAll(`${end}${end}`, `${end}`)];
    }
  }
}

/** Strings of several lines in TOML. */
function* inTripleQuotes(text: string): Iterable<NamedValue> {
  for (const quotes of ['"""', "'''"]) {
    const parts = text.split(quotes);
    for (let at = 1; at < parts.length; at += 2) {
      const name = /([A-Za-z_][\w.-]{0,63})["']?\s?=\s?$/.exec(parts[at - 1]?.slice(-100) ?? "")?.[1];
      if (name !== undefined) yield [name, parts[at]?.replace(/^\r?\n/, "") ?? ""];
    }
  }
}

/** Lines `name value`, as of Java's properties and of GnuPG; only where the value is no word, because a sentence may stand there. */
function* behindBlanks(text: string): Iterable<NamedValue> {
  for (const line of text.split(/\r?\n/)) {
    const [, name = "", value = ""] =
      /^\s{0,20}([A-Za-z_][\w.-]{0,63})[ \t]{1,20}(\S{6,})[ \t]*$/.exec(line) ?? [];
    if (namesPassword(name) && !/^[A-Za-z]+[.,:;!?]?$/.test(value)) yield [name, value];
  }
}

/** A table whose first line calls a column a password. */
function* inColumns(text: string): Iterable<NamedValue> {
  const [head = "", ...rows] = text.split(/\r?\n/);
  const separator = [",", ";", "\t"].find((sign) => head.includes(sign));
  if (separator === undefined || rows.length === 0) return;
  const unquoted = (field: string) => field.trim().replace(/^"(.*)"$/, "$1");
  const names = head.split(separator).map(unquoted);
  if (!names.some(namesPassword) || !names.every((name) => /^[\w .-]+$/.test(name))) return;
  for (const row of rows) {
    const fields = row.split(separator);
    for (const [column, name] of names.entries()) {
      if (namesPassword(name)) yield [name, unquoted(fields[column] ?? "")];
    }
  }
}

/** Passwords that commands take by a short option. */
function* ofCommands(text: string): Iterable<NamedValue> {
  const options =
    /(?<![\w-])(?:sshpass|mysql\w*|mariadb[\w-]*)(?:\s+[^\s|;&]+)*?\s+-p\s?["']?([^\s"'|;&-][^\s"'|;&]*)/g;
  const others = /(?<![\w-])(?:redis-cli\b[^\n|;&]*?\s-a|ldap\w+\b[^\n|;&]*?\s-w)\s+["']?([^\s"'|;&]+)/g;
  for (const pattern of [options, others])
    for (const [, value = ""] of text.matchAll(pattern)) yield ["password", value];
}
