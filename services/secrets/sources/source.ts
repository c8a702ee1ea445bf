import type { Reference } from "../reference.ts";

/** Why a source has no value, as the end of a sentence: never a value, a path or a file's content. */
export class UnresolvedSecret extends Error {
  readonly reason: string;
  /** The source cannot be asked just now; the same reference may work in a moment. */
  readonly isPassing: boolean;

  constructor(reason: string, options: ErrorOptions & { readonly isPassing?: boolean } = {}) {
    super(reason, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "UnresolvedSecret";
    this.reason = reason;
    this.isPassing = options.isPassing ?? false;
  }
}

/** Where values come from. `read` rejects with an UnresolvedSecret. */
export type SecretSource = { read(location: string): Promise<string> };

/** One source for every kind of reference. */
export type SecretSources = Readonly<Record<Reference["kind"], SecretSource>>;
