import type { FromSchema, JSONSchema } from "json-schema-to-ts";

/**
 * A broken rule of a project file: its `field` (`limits.timeout`), and a sentence after it that says what is
 * allowed. A sentence never repeats a value, because values could be secrets.
 */
export type FieldProblem = { readonly field: string; readonly message: string };

/** The fields of a section as a project file writes them, when they have the form of their schemas. */
export type DocumentOf<Properties extends Fields> = FromSchema<{
  readonly type: "object";
  readonly additionalProperties: false;
  readonly properties: Properties;
}>;

/**
 * The values of a section by what a change of them does to running workers. Values that stand in none take
 * effect without a change of workers.
 */
export type RevisionParts = {
  /** A running worker cannot adopt them, so that it must be replaced. */
  readonly pool?: readonly unknown[];
  /** Bounds of a worker as a whole: a worker in a container must be replaced by one of another size. */
  readonly size?: readonly unknown[];
  /** A running worker can be given them anew. */
  readonly provision?: readonly unknown[];
};

/** A section of the project file: some fields of its top level, and all that Airlock knows about them. */
export type Section<Properties extends Fields, Document, Read extends object> = {
  /**
   * The JSON schema of each field, by the field's name. The `$comment` of a pattern or of a choice of forms
   * describes it in error messages.
   */
  readonly properties: Properties;
  /**
   * The broken rules that a JSON schema cannot express. `fileStem` is the file's name without `.yaml`.
   * Undefined when there are no such rules.
   */
  readonly problems?: (document: Document, fileStem: string) => readonly FieldProblem[];
  /** The section's part of `Project`, with every default filled in. The document has no problem. */
  readonly read: (document: Document) => Read;
  /** Undefined when no change of the section concerns running workers. */
  readonly revisions?: (read: Read) => RevisionParts;
};

/** Any section, for code that goes through all of them. */
// biome-ignore lint/suspicious/noExplicitAny: sections read documents of different types
export type AnySection = Section<Fields, any, any>;

/** Gives a section its type. `Document` names the fields of other sections too, when this one reads them. */
export function section<const Properties extends Fields, Document, Read extends object>(
  definition: Section<Properties, Document, Read>,
): Section<Properties, Document, Read> {
  return definition;
}

type Fields = Readonly<Record<string, JSONSchema>>;
