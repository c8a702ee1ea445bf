import type { SecretRedactions } from "../gen/airlock/v1/sanitizer.ts";
import type { NeedleSet } from "./needle-set.ts";

/** How often each secret was replaced in one document. */
export class RedactionCounts {
  readonly #counts = new Map<string, number>();

  /** Counts one replacement of the value with this number in `needles`. */
  add(needles: NeedleSet, source: number): void {
    const name = needles.names[source] ?? "";
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  toMessages(): SecretRedactions[] {
    return [...this.#counts].map(([secret, count]) => ({ secret, count }));
  }
}
