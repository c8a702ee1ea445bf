import { createScanner, visit } from "jsonc-parser";

const MAX_DEPTH = 200;
const SHAPE = 'memory must be an object of categories, each an object of keys: {"category": {"key": value}}.';

/**
 * Why a script could not read this memory as it was meant; undefined when it can. The text itself goes on as it is:
 * what is refused here is what two readers of the same text would understand differently.
 */
export function memoryProblem(memoryJson: string): string | undefined {
  if (memoryJson === "{}") return undefined;
  let memory: unknown;
  try {
    memory = JSON.parse(memoryJson);
  } catch {
    return `memory is not valid JSON. ${SHAPE}`;
  }
  if (!isObject(memory) || !Object.values(memory).every(isObject)) return SHAPE;
  return depthOf(memoryJson) > MAX_DEPTH
    ? `memory is nested deeper than ${MAX_DEPTH} levels; send a flatter value.`
    : ambiguityOf(memoryJson);
}

/** Keys that stand twice, halves of characters, and numbers beyond every float, in JSON that is known to be valid. */
function ambiguityOf(memoryJson: string): string | undefined {
  const keys: Set<string>[] = [];
  let problem: string | undefined;
  const note = (text: string) => {
    problem ??= text;
  };
  const checkText = (text: string) => {
    if (!text.isWellFormed())
      note("memory holds half of a surrogate pair, which is no character; send whole ones.");
  };
  visit(memoryJson, {
    onObjectBegin: () => void keys.push(new Set()),
    onObjectEnd: () => void keys.pop(),
    onObjectProperty(key) {
      checkText(key);
      if (keys.at(-1)?.has(key)) note("memory has an object with the same key twice; send each key once.");
      keys.at(-1)?.add(key);
    },
    onLiteralValue(value: unknown, offset, length) {
      if (typeof value === "string") checkText(value);
      // An integer may have any length; a float is at most as large as a float.
      const isInfinite = value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY;
      if (isInfinite && /[.eE]/.test(memoryJson.slice(offset, offset + length))) {
        note("memory holds a number that no float can hold; send it as text.");
      }
    },
  });
  return problem;
}

function depthOf(json: string): number {
  const scanner = createScanner(json, true);
  let depth = 0;
  let deepest = 0;
  // By their first character, since the scanner's kinds are a const enum, which type stripping cannot read.
  for (scanner.scan(); scanner.getTokenLength() > 0; scanner.scan()) {
    const first = json[scanner.getTokenOffset()];
    if (first === "{" || first === "[") deepest = Math.max(deepest, ++depth);
    else if (first === "}" || first === "]") depth--;
  }
  return deepest;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
