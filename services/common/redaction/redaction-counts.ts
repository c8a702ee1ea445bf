import type { SecretRedactions } from "#proto/sanitizer.ts";

/** Counts how often each secret was replaced in one document. */
export class RedactionCounts {
  readonly #counts = new Map<string, number>();

  /** Counts one replacement of the secret `name`. */
  add(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  toMessages(): SecretRedactions[] {
    return [...this.#counts].map(([secret, count]) => ({ secret, count }));
  }
}
