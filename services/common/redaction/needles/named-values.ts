import { ENTITIES } from "../escapes/escape-names.ts";
import { type NamedValue, otherNamedValues } from "./named-forms.ts";

/** The values that names are given anywhere in a text, by all usual ways to write that. One name may have several readings. */
export function namedValuesOf(text: string): NamedValue[] {
  return [...assigned(text), ...tagged(text), ...options(text), ...ofNetrc(text), ...otherNamedValues(text)];
}

/** A longer value is taken apart line by line only. */
const MAX_VALUE_CHARACTERS = 4_096;

/** `name=`, `name:` and `name=>` with what follows, which is looked at from the next name on once more. */
const ASSIGNMENT = new RegExp(
  String.raw`(?<![\w.-])(["']?)([A-Za-z_][\w.-]{0,63})\1\s{0,8}(=>|=|:)[^\S\n]{0,8}` +
    String.raw`(?=(?:"((?:[^"\\\n]|\\.){1,${MAX_VALUE_CHARACTERS}})"|'((?:[^'\\\n]|\\.){1,${MAX_VALUE_CHARACTERS}})'|'([^'\n]{1,${MAX_VALUE_CHARACTERS}})'` +
    String.raw`|([^\s"'[<]\S{0,${MAX_VALUE_CHARACTERS}})))`,
  "g",
);

/** What ends a value that has no quotes, unless the value itself holds it. */
const END = /["'&;,<>})\]]/;

function* assigned(text: string): Iterable<NamedValue> {
  for (const [, , name = "", sign, double, single, plain, bare = ""] of text.matchAll(ASSIGNMENT)) {
    const quoted = double ?? single ?? plain;
    if (quoted !== undefined) {
      yield [name, quoted];
      continue;
    }
    if (bare.startsWith("{")) {
      // Braces quote in ODBC, and begin a mapping in YAML and JavaScript.
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

/** Elements of XML. */
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

/** Where names and values stand in turns, with nothing but blanks between. */
function* ofNetrc(text: string): Iterable<NamedValue> {
  if (!/(?:^|\s)(?:machine\s+\S+|default)\s+login\s/.test(text)) return;
  for (const [, value = ""] of text.matchAll(/\spassword\s+(\S+)/g)) yield ["password", value];
}

/** A value without the escapes of the format that it stands in: `\\x` of properties and DSNs, `&amp;` of XML. */
export function unescaped(text: string): string {
  return text.replaceAll(/\\(.)/gs, "$1").replaceAll(/&([A-Za-z]+);/g, (all, name: string) => {
    const code = ENTITIES.get(name);
    return code === undefined ? all : String.fromCharCode(code);
  });
}
