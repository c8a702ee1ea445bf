/** The HTML entities that ordinary escapers write, by name. */
export const ENTITIES: ReadonlyMap<string, number> = new Map(
  Object.entries({
    ...{ amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0", Tab: "\t", NewLine: "\n" },
    ...{ excl: "!", num: "#", dollar: "$", percnt: "%", lpar: "(", rpar: ")", ast: "*", plus: "+" },
    ...{ comma: ",", period: ".", sol: "/", colon: ":", semi: ";", equals: "=", quest: "?", commat: "@" },
    ...{ lbrack: "[", lsqb: "[", bsol: "\\", rbrack: "]", rsqb: "]", Hat: "^", lowbar: "_", grave: "`" },
    ...{ lbrace: "{", lcub: "{", vert: "|", verbar: "|", rbrace: "}", rcub: "}" },
  }).map(([name, character]) => [name, character.charCodeAt(0)]),
);

export const LONGEST_ENTITY = Math.max(...[...ENTITIES.keys()].map((name) => name.length));

/**
 * Bytes of the longest HTML entity after `&`, with its semicolon. The number `#x10ffff` is longer than every
 * name.
 */
export const MAX_ENTITY_BYTES = Math.max(8, LONGEST_ENTITY) + 1;

/**
 * The character that a backslash and each letter stand for in JSON, JavaScript, Python, C and the shell's
 * `$'…'`.
 */
export const SHORT_ESCAPES: ReadonlyMap<number, number> = new Map(
  Object.entries({ n: 10, r: 13, t: 9, b: 8, f: 12, v: 11, a: 7, e: 27 }).map(([letter, code]) => [
    letter.charCodeAt(0),
    code,
  ]),
);
