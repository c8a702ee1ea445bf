import { createHash } from "node:crypto";
import { compileValues, type NeedleSet } from "#common/redaction/needles/needle-set.ts";

/**
 * Shares compiled needles (the forms of secret values, prepared for the search) between all routes that
 * search for the same values, because compiled needles take megabytes, and a thousand paused runs have a
 * route each. Needles are freed when no route refers to them.
 */
export class CompiledValues {
  readonly #sets = new Map<string, WeakRef<NeedleSet>>();
  readonly #unused = new FinalizationRegistry<string>((key) => {
    if (this.#sets.get(key)?.deref() === undefined) this.#sets.delete(key);
  });

  of(values: readonly string[]): NeedleSet {
    // The key of the map is a hash of the values, so that no secret value is kept longer than its route.
    const key = createHash("sha256").update(JSON.stringify(values)).digest("base64");
    const known = this.#sets.get(key)?.deref();
    if (known) return known;
    const compiled = compileValues(values);
    this.#sets.set(key, new WeakRef(compiled));
    this.#unused.register(compiled, key);
    return compiled;
  }
}
