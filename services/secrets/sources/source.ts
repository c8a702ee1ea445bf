import type { Reference } from "../reference.ts";

/**
 * The error of a source that cannot give a value. `reason` is the end of a sentence. It never contains a
 * value, an absolute path or a file's content, because agents may read it.
 */
export class UnresolvedSecret extends Error {
  readonly reason: string;
  /** Whether the problem is transient, as a sealed vault is: the same reference may work in a moment. */
  readonly isPassing: boolean;

  constructor(reason: string, options: ErrorOptions & { readonly isPassing?: boolean } = {}) {
    super(reason, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "UnresolvedSecret";
    this.reason = reason;
    this.isPassing = options.isPassing ?? false;
  }
}

/** A source of secret values: environment variables, files, a vault, or the project file itself. */
export type SecretSource = {
  /**
   * Reads the value at `location`, which is the text of a reference behind `env:`, `file:` or `vault:`.
   * Rejects with an UnresolvedSecret.
   */
  read(location: string): Promise<string>;
  /**
   * Whether reading asks another system (a vault), which may be unreachable. Checks of project files do not
   * read from such a source.
   */
  readonly isRemote: boolean;
};

/** The sources of secret values, one for every kind of reference. */
export type SecretSources = Readonly<Record<Reference["kind"], SecretSource>>;
