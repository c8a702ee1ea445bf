/**
 * The text of a member of the JSON object in `json`, exactly as it is written there, so that numbers keep
 * every digit; undefined when the object has no such member. `json` must be a text that JSON.parse accepts.
 */
export function memberText(json: string, name: string): string | undefined {
  let at = skipSpace(json, json.indexOf("{") + 1);
  while (json[at] === '"') {
    const keyEnd = endOfString(json, at);
    const start = skipSpace(json, skipSpace(json, keyEnd) + 1);
    const end = endOfValue(json, start);
    if (JSON.parse(json.slice(at, keyEnd)) === name) return json.slice(start, end);
    // The next key begins after the comma behind this value.
    at = skipSpace(json, skipSpace(json, end) + 1);
  }
  return undefined;
}

function skipSpace(json: string, from: number): number {
  let at = from;
  while (" \t\n\r".includes(json[at] ?? "x")) at++;
  return at;
}

/** The offset after the closing quote of the string that begins at `start`. */
function endOfString(json: string, start: number): number {
  for (let quote = json.indexOf('"', start + 1); quote >= 0; quote = json.indexOf('"', quote + 1)) {
    let backslashes = 0;
    while (json[quote - 1 - backslashes] === "\\") backslashes++;
    if (backslashes % 2 === 0) return quote + 1;
  }
  return json.length;
}

/** The offset after the last character of the value that begins at `start`. */
function endOfValue(json: string, start: number): number {
  if (json[start] === '"') return endOfString(json, start);
  const marks = /["[\]{},\s]/g;
  marks.lastIndex = start;
  let depth = 0;
  for (let mark = marks.exec(json); mark; mark = marks.exec(json)) {
    const [found] = mark;
    if (found === '"') marks.lastIndex = endOfString(json, mark.index);
    else if (found === "[" || found === "{") depth++;
    else if (found === "]" || found === "}") {
      // A number, true, false or null ends before the bracket of the object that it is in.
      if (depth === 0) return mark.index;
      depth--;
      if (depth === 0) return marks.lastIndex;
    } else if (depth === 0) return mark.index;
  }
  return json.length;
}
