import { secretNumber } from "./printed-numbers.ts";
import { isWord } from "./secret-parts.ts";

/** Why a value is looked for only where it stands alone; undefined for values that are found everywhere. */
export function weaknessOf(value: string): "a word" | "a short number" | undefined {
  if (isWord(value)) return "a word";
  return /^[+-]?[\d.]+$/.test(value) && secretNumber(value) === undefined ? "a short number" : undefined;
}
