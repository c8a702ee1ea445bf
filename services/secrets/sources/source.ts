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

/** Where values come from. */
export type SecretSource = {
  /** Rejects with an UnresolvedSecret. */
  read(location: string): Promise<string>;
  /** Whether reading asks another system, which may be away. */
  readonly isRemote: boolean;
};

/** One source for every kind of reference. */
export type SecretSources = Readonly<Record<Reference["kind"], SecretSource>>;
