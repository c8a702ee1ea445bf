import { namesPassword } from "./secret-names.ts";

/** A name in a secret's text, and a value that the text may give it. */
export type NamedValue = readonly [name: string, value: string];

/**
 * Finds names with values in a secret's text that are not written as `name=value` or `name: value`, such as
 * XML elements and options of commands.
 */
export function* otherNamedValues(text: string): Iterable<NamedValue> {
  yield* besideEachOther(text);
  yield* inAttributes(text);
  yield* inDoubledQuotes(text);
  yield* inTripleQuotes(text);
  yield* behindBlanks(text);
  yield* inColumns(text);
  yield* ofCommands(text);
}

/**
 * XML elements next to each other: `<name>…</name><value>…</value>` of Hadoop,
 * `<key>…</key><string>…</string>` of property lists.
 */
function* besideEachOther(text: string): Iterable<NamedValue> {
  const pairs = /<(?:name|key)>([^<>]{1,200})<\/(?:name|key)>\s{0,100}<(?:value|string)>([^<>]+)<\//gi;
  for (const [, name = "", value = ""] of text.matchAll(pairs)) yield [name.trim(), value.trim()];
}

/** XML attributes: `<add key="Password" value="…"/>`. */
function* inAttributes(text: string): Iterable<NamedValue> {
  const pairs =
    /\b(?:name|key)\s?=\s?(["'])([^"'<>\n]{1,200})\1\s{1,20}value\s?=\s?(["'])([^<>\n]{1,4096}?)\3/gi;
  for (const [, , name = "", , value = ""] of text.matchAll(pairs)) yield [name, value];
}

/** Values of connection strings in which quotes or braces are doubled: `Password="a""b"`, `PWD={a}}b}`. */
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

/** Names whose values are multi-line strings in three quotes, as in TOML. */
function* inTripleQuotes(text: string): Iterable<NamedValue> {
  for (const quotes of ['"""', "'''"]) {
    const parts = text.split(quotes);
    for (let at = 1; at < parts.length; at += 2) {
      const name = /([A-Za-z_][\w.-]{0,63})["']?\s?=\s?$/.exec(parts[at - 1]?.slice(-100) ?? "")?.[1];
      if (name !== undefined) yield [name, parts[at]?.replace(/^\r?\n/, "") ?? ""];
    }
  }
}

/**
 * Lines `name value` whose name is that of a password, as in Java's properties and GnuPG's options. A value
 * that is a word is skipped, because the line may be a sentence.
 */
function* behindBlanks(text: string): Iterable<NamedValue> {
  for (const line of text.split(/\r?\n/)) {
    const [, name = "", value = ""] =
      /^\s{0,20}([A-Za-z_][\w.-]{0,63})[ \t]{1,20}(\S{6,})[ \t]*$/.exec(line) ?? [];
    if (namesPassword(name) && !/^[A-Za-z]+[.,:;!?]?$/.test(value)) yield [name, value];
  }
}

/** The values of password columns in a table whose first line names its columns, such as CSV. */
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

/** Passwords that commands take as a short option, such as `mysql -p…`. */
function* ofCommands(text: string): Iterable<NamedValue> {
  const options =
    /(?<![\w-])(?:sshpass|mysql\w*|mariadb[\w-]*)(?:\s+[^\s|;&]+)*?\s+-p\s?["']?([^\s"'|;&-][^\s"'|;&]*)/g;
  const others = /(?<![\w-])(?:redis-cli\b[^\n|;&]*?\s-a|ldap\w+\b[^\n|;&]*?\s-w)\s+["']?([^\s"'|;&]+)/g;
  for (const pattern of [options, others])
    for (const [, value = ""] of text.matchAll(pattern)) yield ["password", value];
}
