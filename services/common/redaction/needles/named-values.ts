import { ENTITIES } from "../escapes/escape-names.ts";
import { type NamedValue, otherNamedValues } from "./named-forms.ts";

/**
 * Finds all names with values in a text, in every usual notation. A name may have several possible values.
 */
export function namedValuesOf(text: string): NamedValue[] {
  return [...assigned(text), ...tagged(text), ...options(text), ...ofNetrc(text), ...otherNamedValues(text)];
}

/**
 * Characters of the longest value that is found by its name. A longer value is searched for only line by
 * line.
 */
const MAX_VALUE_CHARACTERS = 4_096;

/**
 * A pattern for `name=`, `name:` or `name=>`, and the value after it. The value is a look-ahead, so that
 * names inside the value are found as well.
 */
const ASSIGNMENT = new RegExp(
  String.raw`(?<![\w.-])(["']?)([A-Za-z_][\w.-]{0,63})\1\s{0,8}(=>|=|:)[^\S\n]{0,8}` +
    String.raw`(?=(?:"((?:[^"\\\n]|\\.){1,${MAX_VALUE_CHARACTERS}})"|'((?:[^'\\\n]|\\.){1,${MAX_VALUE_CHARACTERS}})'|'([^'\n]{1,${MAX_VALUE_CHARACTERS}})'` +
    String.raw`|([^\s"'[<]\S{0,${MAX_VALUE_CHARACTERS}})))`,
  "g",
);

/**
 * Characters that may end a value without quotes. The value may also contain them, so the value up to the
 * character and the longer value are both returned.
 */
const END = /["'&;,<>})\]]/;

function* assigned(text: string): Iterable<NamedValue> {
  for (const [, , name = "", sign, double, single, plain, bare = ""] of text.matchAll(ASSIGNMENT)) {
    const quoted = double ?? single ?? plain;
    if (quoted !== undefined) {
      yield [name, quoted];
      continue;
    }
    if (bare.startsWith("{")) {
      // Braces are quotes in ODBC, and begin a mapping in YAML and JavaScript.
      const braced = sign === "=" ? /^\{([^}]+)\}/.exec(bare) : null;
      if (braced) yield [name, braced[1] as string];
      continue;
    }
    const end = bare.search(END);
    const short = end < 0 ? bare : bare.slice(0, end);
    yield [name, short];
    const goesOn = end >= 0 && bare.length > end + 1 && !/^[^\w]*[\w.-]+["']?[=:]/.test(bare.slice(end));
    if (goesOn) yield [name, bare];
  }
}

/** The text of XML elements, with the tag as its name: `<password>…</password>`. */
function* tagged(text: string): Iterable<NamedValue> {
  for (const [, name = "", value = ""] of text.matchAll(/<([A-Za-z][\w.:-]*)[^<>]*>([^<>]+)<\//g))
    yield [name, value.trim()];
}

/** Options of command lines: `--password x`, and `-u user:password`. */
function* options(text: string): Iterable<NamedValue> {
  for (const [, name = "", value = ""] of text.matchAll(
    /(?:^|\s)--([a-z][\w-]*)\s+["']?([^\s"'-][^\s"']*)/gi,
  ))
    yield [name, value];
  for (const [, value = ""] of text.matchAll(/(?:^|\s)(?:-u|--user)[\s=]*["']?[^\s"':]+:([^\s"']+)/g))
    yield ["password", value];
}

/** Passwords in .netrc files, where names and values alternate with only blanks between them. */
function* ofNetrc(text: string): Iterable<NamedValue> {
  if (!/(?:^|\s)(?:machine\s+\S+|default)\s+login\s/.test(text)) return;
  for (const [, value = ""] of text.matchAll(/\spassword\s+(\S+)/g)) yield ["password", value];
}

/**
 * Removes from a value the escapes of the format around it: `\\x` of properties files and DSNs, `&amp;` of
 * XML.
 */
export function unescaped(text: string): string {
  return text.replaceAll(/\\(.)/gs, "$1").replaceAll(/&([A-Za-z]+);/g, (all, name: string) => {
    const code = ENTITIES.get(name);
    return code === undefined ? all : String.fromCharCode(code);
  });
}
