import { canonicalForm, isNumber, MAX_MORE_CHARACTERS, type SecretNumber } from "./printed-numbers.ts";

/** JavaScript rounds to no more digits. */
const MAX_PRECISION = 100;

/** Numbers that are secrets, each with an item. A printed number is looked up among all of them at once, however many there are. */
export class NumberIndex<Item> {
  /** By what a number of them may be printed as, exactly or rounded; the first that fits is it. */
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

  /** The item of the number that `text` is; undefined when it is none of them. */
  find(text: string): Item | undefined {
    // A script may write a number of ten million digits: it is not read to its end.
    if (text.length > this.#longestDigits + MAX_MORE_CHARACTERS) return undefined;
    const form = canonicalForm(text);
    const entries = form === undefined ? undefined : this.#entries.get(form);
    return entries?.find(({ number }) => isNumber(text, number))?.item;
  }
}

/** The canonical forms of all that `isNumber` takes for the number. */
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
