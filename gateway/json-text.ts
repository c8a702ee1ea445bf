const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** A member of the outermost object: its key, and its value exactly as it was written. */
export type JsonMember = { readonly key: string; readonly text: string };

export type JsonOutline = {
  /** Whether anything is nested deeper than was allowed; the members are incomplete then. */
  readonly tooDeep: boolean;
  readonly members: readonly JsonMember[];
};

/**
 * Reads nesting and outermost members off JSON text in one pass, without building values: the text of a number keeps
 * every digit, and brackets nested by the million cost nothing. The members mean something only when JSON.parse
 * accepts the same text.
 */
export function outlineJson(text: string, maxDepth: number): JsonOutline {
  const members: JsonMember[] = [];
  let depth = 0;
  let key = "";
  let valueStart = -1;
  const endMember = (end: number) => {
    if (valueStart !== -1) members.push({ key, text: text.slice(valueStart, end).trim() });
    valueStart = -1;
  };
  for (let at = 0; at < text.length; at++) {
    switch (text[at]) {
      case '"': {
        const end = endOfString(text, at);
        if (depth === 1 && valueStart === -1) key = decodeKey(text.slice(at, end));
        at = end - 1;
        break;
      }
      case ":":
        if (depth === 1) valueStart = at + 1;
        break;
      case ",":
        if (depth === 1) endMember(at);
        break;
      case "{":
      case "[":
        if (++depth > maxDepth) return { tooDeep: true, members };
        break;
      case "}":
      case "]":
        if (depth === 1) endMember(at);
        depth--;
        break;
    }
  }
  return { tooDeep: false, members };
}

/** The position behind the string that begins at `start`; the end of the text when it is never closed. */
function endOfString(text: string, start: number): number {
  for (let quote = text.indexOf('"', start + 1); quote !== -1; quote = text.indexOf('"', quote + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(quote - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return quote + 1;
  }
  return text.length;
}

// The text may be no JSON at all: what cannot be decoded stands for itself until JSON.parse refuses the whole.
function decodeKey(literal: string): string {
  if (!literal.includes("\\") && literal.charCodeAt(literal.length - 1) === QUOTE)
    return literal.slice(1, -1);
  try {
    return JSON.parse(literal);
  } catch {
    return literal;
  }
}
