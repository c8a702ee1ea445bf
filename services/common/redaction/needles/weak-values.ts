import { secretNumber } from "./printed-numbers.ts";
import { isWord } from "./secret-parts.ts";

/**
 * The reason why a value is redacted only where it stands alone; undefined for a value that is redacted
 * everywhere.
 */
export function weaknessOf(value: string): "a word" | "a short number" | undefined {
  if (isWord(value)) return "a word";
  return /^[+-]?[\d.]+$/.test(value) && secretNumber(value) === undefined ? "a short number" : undefined;
}
