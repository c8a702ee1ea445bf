import type { Reference } from "../reference.ts";

/**
 * The error of a source that cannot give a value. `reason` is the end of a sentence and never has a value, a
 * path or a file's content in it.
 */
export class UnresolvedSecret extends Error {
  readonly reason: string;
  /** Whether the problem is transient: the same reference may work in a moment. */
  readonly isPassing: boolean;

  constructor(reason: string, options: ErrorOptions & { readonly isPassing?: boolean } = {}) {
    super(reason, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "UnresolvedSecret";
    this.reason = reason;
    this.isPassing = options.isPassing ?? false;
  }
}

/** A place that secret values are read from. */
export type SecretSource = {
  /** Reads the value at `location`. Rejects with an UnresolvedSecret. */
  read(location: string): Promise<string>;
  /** Whether reading asks another system, which may be unreachable. */
  readonly isRemote: boolean;
};

/** The sources of secret values, one for every kind of reference. */
export type SecretSources = Readonly<Record<Reference["kind"], SecretSource>>;
