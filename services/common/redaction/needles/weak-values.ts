import { secretNumber } from "./printed-numbers.ts";
import { isWord } from "./secret-parts.ts";

/**
 * The reason why a secret value is redacted only where it stands alone, because it is likely to appear inside
 * other text; undefined for a value that is redacted everywhere.
 */
export function weaknessOf(value: string): "a word" | "a short number" | undefined {
  if (isWord(value)) return "a word";
  return /^[+-]?[\d.]+$/.test(value) && secretNumber(value) === undefined ? "a short number" : undefined;
}
