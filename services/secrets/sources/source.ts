import type { Reference } from "../reference.ts";

/** Why a source has no value, as the end of a sentence: never a value, a path or a file's content. */
export class UnresolvedSecret extends Error {
  readonly reason: string;

  constructor(reason: string, options?: ErrorOptions) {
    super(reason, options);
    this.name = "UnresolvedSecret";
    this.reason = reason;
  }
}

/** Where values come from. `read` rejects with an UnresolvedSecret. */
export type SecretSource = { read(location: string): Promise<string> };

/** One source for every kind of reference. */
export type SecretSources = Readonly<Record<Reference["kind"], SecretSource>>;
