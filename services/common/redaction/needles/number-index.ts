import { canonicalForm, isNumber, MAX_MORE_CHARACTERS, type SecretNumber } from "./printed-numbers.ts";

/** The largest number of digits that JavaScript can round to. */
const MAX_PRECISION = 100;

/**
 * An index of secret numbers, each with an item, such as the index of its needle. A lookup takes the same
 * time however many numbers there are.
 */
export class NumberIndex<Item> {
  /**
   * The numbers by each canonical form that they may be printed in, exact or rounded. The first number that
   * fits is the result of a lookup.
   */
  readonly #entries = new Map<string, { readonly number: SecretNumber; readonly item: Item }[]>();
  #longestDigits = 0;

  get isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  add(number: SecretNumber, item: Item): void {
    this.#longestDigits = Math.max(this.#longestDigits, number.digits.length);
    for (const form of formsOf(number)) {
      const entries = this.#entries.get(form);
      if (entries) entries.push({ number, item });
      else this.#entries.set(form, [{ number, item }]);
    }
  }

  /** The item of the secret number that `text` prints; undefined when it prints none of them. */
  find(text: string): Item | undefined {
    // Longer texts are not parsed, because a script may print a number of ten million digits.
    if (text.length > this.#longestDigits + MAX_MORE_CHARACTERS) return undefined;
    const form = canonicalForm(text);
    const entries = form === undefined ? undefined : this.#entries.get(form);
    return entries?.find(({ number }) => isNumber(text, number))?.item;
  }
}

/** The canonical forms of all texts that `isNumber` accepts for the number, exact or rounded. */
function formsOf({ canonical, double }: SecretNumber): Set<string> {
  const forms = new Set([canonical]);
  if (!Number.isFinite(double) || double === 0) return forms;
  const exact = canonicalForm(double.toPrecision(MAX_PRECISION)) as string;
  for (let digits = 1; digits <= MAX_PRECISION; digits++) {
    const form = canonicalForm(double.toPrecision(digits)) as string;
    forms.add(form);
    if (form === exact) break;
  }
  return forms;
}
