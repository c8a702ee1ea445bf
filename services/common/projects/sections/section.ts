import type { FromSchema, JSONSchema } from "json-schema-to-ts";

/**
 * A broken rule of a project file: its `field` (`limits.timeout`), and a `message` that continues a sentence
 * after the field's name and says what is allowed. A message never repeats a value, because values could be
 * secrets.
 */
export type FieldProblem = { readonly field: string; readonly message: string };

/** The type of a section's fields in a project file that satisfies their JSON schemas. */
export type DocumentOf<Properties extends Fields> = FromSchema<{
  readonly type: "object";
  readonly additionalProperties: false;
  readonly properties: Properties;
}>;

/**
 * The values of a section, grouped by what the pool-manager does with running workers when a value changes. A
 * value in no group takes effect without the workers. Undefined for a group means no values.
 */
export type RevisionParts = {
  /** Values that a running worker cannot adopt: a change replaces the worker. */
  readonly pool?: readonly unknown[];
  /**
   * Limits of a worker as a whole, such as its CPUs: a change replaces a worker in a container by one of
   * another size, and leaves a worker that is a plain process.
   */
  readonly size?: readonly unknown[];
  /** Values that the pool-manager sends to a running worker again when they change. */
  readonly provision?: readonly unknown[];
};

/** A section of the project file: some fields of its top level, and all that Airlock knows about them. */
export type Section<Properties extends Fields, Document, Read extends object> = {
  /**
   * The JSON schema of each field, by the field's name. In error messages, the `$comment` of a schema
   * describes its pattern, or the forms among which a value can choose.
   */
  readonly properties: Properties;
  /**
   * The broken rules that a JSON schema cannot express. `fileStem` is the file's name without `.yaml`.
   * Undefined when there are no such rules.
   */
  readonly problems?: (document: Document, fileStem: string) => readonly FieldProblem[];
  /** The section's part of `Project`, with every default filled in. The document has no problem. */
  readonly read: (document: Document) => Read;
  /** The values that concern running workers; undefined when the section has none. */
  readonly revisions?: (read: Read) => RevisionParts;
};

/** Any section, for code that goes through all of them. */
// biome-ignore lint/suspicious/noExplicitAny: sections read documents of different types
export type AnySection = Section<Fields, any, any>;

/**
 * Returns the definition of a section unchanged, for its type. `Document` names the fields of other sections
 * too, when this section reads them.
 */
export function section<const Properties extends Fields, Document, Read extends object>(
  definition: Section<Properties, Document, Read>,
): Section<Properties, Document, Read> {
  return definition;
}

type Fields = Readonly<Record<string, JSONSchema>>;
