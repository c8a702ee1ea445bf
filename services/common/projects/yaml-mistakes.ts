import { type Document, type ErrorCode, isScalar, visit } from "yaml";

// The number of aliases in a file is limited, because the library searches the whole document for each alias.
const MAX_ALIASES = 100;

/**
 * Airlock's own sentences for the YAML library's error codes, because the library's messages repeat pieces of
 * the file, which could be a secret.
 */
const SENTENCES: Readonly<Record<ErrorCode, string>> = {
  ALIAS_PROPS: "an alias (*name) cannot have a tag or an anchor",
  BAD_ALIAS: "an alias (*name) has no anchor (&name) before it; a text that begins with * needs quotes",
  BAD_COLLECTION_TYPE: "a tag does not fit the list or the fields that it stands before",
  BAD_DIRECTIVE: "a line that begins with % is not a directive; a text that begins with % needs quotes",
  BAD_DQ_ESCAPE: "a text in double quotes has an unknown escape after \\; write \\\\ or use single quotes",
  BAD_INDENT: "the indentation does not fit the lines above, or a bracket or brace there is not closed",
  BAD_PROP_ORDER: "an anchor or a tag stands in the wrong place",
  BAD_SCALAR_START: "a text begins with a character that YAML reserves (such as @ or `); put it in quotes",
  BLOCK_AS_IMPLICIT_KEY:
    'a second colon on the line, or a list where a field is expected; a text with ": " in it needs quotes',
  BLOCK_IN_FLOW: "a list or fields by indentation cannot stand within [ ] or { }",
  DUPLICATE_KEY: "a field is given twice",
  IMPOSSIBLE: "this text cannot be read",
  KEY_OVER_1024_CHARS: "the name of a field is longer than 1,024 characters",
  MISSING_CHAR:
    "a character is missing: a closing quote, bracket or brace, or the colon or space after a field's name",
  MULTILINE_IMPLICIT_KEY: "the name of a field goes over more than one line; perhaps its colon is missing",
  MULTIPLE_ANCHORS: "a value has more than one anchor",
  MULTIPLE_DOCS: "the file contains more than one document (---)",
  MULTIPLE_TAGS: "a value has more than one tag",
  NON_STRING_KEY: "the name of a field is not text",
  RESOURCE_EXHAUSTION: "the file is nested too deeply, or its aliases (*name) repeat too much",
  TAB_AS_INDENT: "a tab stands in the indentation; use spaces",
  TAG_RESOLVE_FAILED: "a tag (!name) is unknown or does not fit; a text that begins with ! needs quotes",
  UNEXPECTED_TOKEN: "text stands where YAML expects none; a quote, a bracket or the indentation may be wrong",
};

/** A mistake in a YAML text; `position` is its UTF-16 offset from the beginning. */
export type YamlMistake = { readonly position: number; readonly text: string };

/** The value of `document`, or the mistakes because of which it cannot be read as it was meant. */
export function valueOfYaml(document: Document): { readonly value: unknown } | readonly YamlMistake[] {
  // The library only warns of a tag that it does not know and drops the tag, so that the value would differ
  // from what the file says.
  const tags = document.warnings.filter(({ code }) => code === "TAG_RESOLVE_FAILED");
  const mistakes = [...document.errors, ...tags].map(({ pos, code }) => mistake(pos[0], code));
  const anchors = new Set<string>();
  let aliases = 0;
  visit(document, {
    Alias(_key, { source, range }) {
      const position = range?.[0] ?? 0;
      if (!anchors.has(source)) mistakes.push(mistake(position, "BAD_ALIAS"));
      if (++aliases <= MAX_ALIASES) return undefined;
      mistakes.push(mistake(position, "RESOURCE_EXHAUSTION"));
      return visit.BREAK;
    },
    Value(_key, { anchor }) {
      if (anchor !== undefined) anchors.add(anchor);
    },
    Map(_key, { anchor, items }) {
      if (anchor !== undefined) anchors.add(anchor);
      // Duplicate keys are found here, because the library compares each key with all keys before it.
      const keys = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        if (keys.has(key.value)) mistakes.push(mistake(key.range?.[0] ?? 0, "DUPLICATE_KEY"));
        keys.add(key.value);
      }
    },
  });
  if (mistakes.length > 0) return mistakes;
  try {
    return { value: document.toJS() };
  } catch {
    // The library refuses to resolve too many aliases, because a few lines of them could stand for gigabytes.
    return [mistake(0, "RESOURCE_EXHAUSTION")];
  }
}

function mistake(position: number, code: ErrorCode): YamlMistake {
  return { position, text: SENTENCES[code] ?? SENTENCES.IMPOSSIBLE };
}
