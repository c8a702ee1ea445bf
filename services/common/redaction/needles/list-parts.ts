import { isCommon } from "./common-texts.ts";
import { isDate, namesPassword, type Role, SECRET_NAME } from "./secret-names.ts";
import { looksLikeWords } from "./words.ts";

/** Signs between the elements of a list, the first that stands in a value counts. */
const SEPARATORS = [/\r?\n|\r/, /[|;\t]/, /,/, / +/] as const;

/** The most elements of a list that are searched for by themselves. */
const MAX_ELEMENTS = 1_000;

/** Characters of the shortest element that is searched for although nothing calls it secret. */
const MIN_UNNAMED_CHARACTERS = 8;

/** A text that ordinary code takes out of a value by splitting it, and its role. */
export type Element = readonly [text: string, role: Role];

/**
 * The elements of a value that is a list or a pair, as `split` gives them: keys with commas, blanks or line ends
 * between them, `user password`, a user and a password on two lines. `name` is the name of the value's secret or
 * of the setting in it. Under the name of a secret every element that is no word counts; elsewhere only one that
 * looks random.
 */
export function elementsOf(value: string, name: string): Element[] {
  const isNamed = SECRET_NAME.test(name);
  const found: Element[] = [];
  for (const element of splitOf(value)) {
    // `alice:KEY` in a list of keys with their users.
    const behindColon = /^[\w.@-]+:([^:/\s]+)$/.exec(element)?.[1];
    for (const text of behindColon === undefined ? [element] : [element, behindColon]) {
      if (/^\d+$/.test(text)) {
        if (namesPassword(name)) found.push([text, "password"]);
      } else if (isNamed ? mayBeSecret(text) : looksRandom(text)) found.push([text, "named"]);
    }
  }
  return found;
}

/** The elements of a list; empty for a value that is none, such as a document or a single text. */
function splitOf(value: string): string[] {
  const text = value.trim();
  const separator =
    SEPARATORS.find((each) => each.test(text)) ?? (/^[\w.@-]+\/[^/]+$/.test(text) ? /\// : undefined);
  if (separator === undefined) return behindUser(text);
  const elements = text.split(separator).map((element) => element.trim().replace(/^(["'])(.*)\1$/, "$2"));
  const given = elements.filter((element) => element !== "");
  return given.length < 2 || given.length > MAX_ELEMENTS || !given.every(isElement)
    ? behindUser(text)
    : given;
}

/** The password behind a user with blanks in its name: `user name:password`. */
function behindUser(text: string): string[] {
  const password = /^[\w.@-]+(?: [\w.@-]+)+:(\S+)$/.exec(text)?.[1];
  return password === undefined ? [] : [password];
}

/** Whether a text may be the element of a list, and no line of a file or field of a document. */
function isElement(text: string): boolean {
  return !/[\s<>{}[\]"']|:\/\/|-{5}|=(?!=?$)|:$/.test(text);
}

/** Whether an element under the name of a secret is no word, name, date, host, address or path. */
function mayBeSecret(text: string): boolean {
  if (isDate(text) || isCommon(text) || /^[.~]{0,2}\/|@/.test(text)) return false;
  return /\d/.test(text) ? /[^\d.,:+-]/.test(text) : !looksLikeWords(text.replace(/[^A-Za-z]/g, ""));
}

/** Whether an element looks random although nothing calls it secret: small letters, capitals and digits. */
function looksRandom(text: string): boolean {
  const kinds = [/[a-z]/, /[A-Z]/, /\d/].every((kind) => kind.test(text));
  return kinds && text.length >= MIN_UNNAMED_CHARACTERS && mayBeSecret(text);
}

/** Groups of digits and capitals, as people write numbers of cards, accounts and licences. */
const GROUPS = /^\+?[A-Z0-9]{1,8}(?:([ -])[A-Z0-9]{1,8})(?:\1[A-Z0-9]{1,8})*$/;

/** Characters of the shortest value in groups that is searched for without the signs between them. */
const MIN_JOINED_CHARACTERS = 10;

/** A value in groups, such as `4111 1111 1111 1111`, as programs write it: without the signs between them. */
export function joinedGroups(value: string): string | undefined {
  const text = value.trim();
  const joined = text.replace(/[ +-]/g, "");
  const isNumber = (joined.match(/\d/g) ?? []).length * 2 >= joined.length;
  return GROUPS.test(text) && isNumber && joined.length >= MIN_JOINED_CHARACTERS && !isDate(text)
    ? joined
    : undefined;
}
