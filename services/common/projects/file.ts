import { createHash } from "node:crypto";
import { Ajv } from "ajv";
import { type Document, isMap, LineCounter, parseDocument, type Range } from "yaml";
import { schemaOf } from "./schema.ts";
import { describeSchemaErrors } from "./schema-problems.ts";
import { SECTIONS } from "./sections/all.ts";
import type { AnySection, FieldProblem, RevisionParts } from "./sections/section.ts";
import { valueOfYaml } from "./yaml-mistakes.ts";

/** A project whose file has no error: the parts that the sections of the file have read, and the revisions. */
export type Project = ProjectOf<typeof SECTIONS>;

/** The type of the project that a file with these sections becomes. */
export type ProjectOf<Sections extends readonly AnySection[]> = Flat<
  Both<ReturnType<Sections[number]["read"]>> & Revisions
>;

type Revisions = {
  /**
   * A hash that changes with every setting that a running worker cannot adopt, so that the worker must be
   * replaced.
   */
  readonly poolRevision: string;
  /**
   * A hash that changes with the limits of a worker as a whole, such as its memory. A worker in a container
   * must then be replaced by one of another size.
   */
  readonly sizeRevision: string;
  /**
   * A hash that changes with settings, secrets and the limits of a run, which a running worker can be given
   * again.
   */
  readonly provisionRevision: string;
};

// The intersection of the members of a union.
type Both<Union> = (Union extends unknown ? (each: Union) => void : never) extends (each: infer Each) => void
  ? Each
  : never;
// One object type instead of an intersection, so that the compiler's messages list its members.
type Flat<Type> = { readonly [Key in keyof Type]: Type[Key] };

/** The reason why a project file cannot be used, for the operator. It names file, line and field. */
export type ProjectProblem = { readonly name: string; readonly problem: string };

/**
 * Bytes of the largest project file that is read, because the time to parse and check a file grows faster
 * than its size.
 */
export const MAX_PROJECT_FILE_BYTES = 64 * 1024;

// The most problems that are reported for one file; the first ones suffice to find the cause.
const MAX_PROBLEMS = 20;

/**
 * Parses the text of the project file `fileName` (`NAME.yaml`). All problems are reported together, one a
 * line. Values never appear in a problem, because they could be secrets.
 */
export const parseProjectFile = parserOf(SECTIONS);

/** The parser of a project file that has these sections. */
export function parserOf<const Sections extends readonly AnySection[]>(sections: Sections) {
  // ajv does not check the schema itself, because that check would take a tenth of the time of each start. A
  // test checks the schema, which is a constant.
  const validate = new Ajv({
    allErrors: true,
    verbose: true,
    allowUnionTypes: true,
    validateSchema: false,
    code: { optimize: false },
  }).compile(schemaOf(sections));

  return (fileName: string, text: string): ProjectOf<Sections> | ProjectProblem => {
    const name = fileName.replace(/\.ya?ml$/, "");
    const lines = new LineCounter();
    const yaml = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
    const refuse = <Found>(
      found: readonly Found[],
      describe: (each: Found) => { line: number; text: string },
    ): ProjectProblem => {
      const told = found.slice(0, MAX_PROBLEMS).map((each) => {
        const { line, text } = describe(each);
        return `${fileName}:${line}: ${text}`;
      });
      const more = found.length - told.length;
      return { name, problem: [...told, ...(more > 0 ? [`and ${more} more`] : [])].join("\n") };
    };
    const describe = ({ field, message }: FieldProblem) => ({
      line: lineOf(yaml, lines, field.split(".")),
      text: field === "" ? `the file ${message}` : `field "${field}" ${message}`,
    });
    const read = valueOfYaml(yaml);
    if (!("value" in read)) {
      return refuse(read, ({ position, text }) => ({
        line: lines.linePos(position).line,
        text: `not valid YAML: ${text}`,
      }));
    }
    const { value } = read;
    if (!validate(value)) return refuse(describeSchemaErrors(validate.errors ?? []), describe);
    const problems = sections.flatMap((section) => section.problems?.(value, name) ?? []);
    if (problems.length > 0) return refuse(problems, describe);
    const parts = sections.map((section) => {
      const part = section.read(value);
      return { part, revisions: section.revisions?.(part) ?? {} };
    });
    const project = Object.assign({}, ...parts.map(({ part }) => part));
    return Object.freeze({ ...project, ...revisionsOf(parts.map(({ revisions }) => revisions)) });
  };
}

function lineOf(document: Document, lines: LineCounter, path: readonly string[]): number {
  for (let depth = path.length; depth > 0; depth--) {
    const parent = depth === 1 ? document.contents : document.getIn(path.slice(0, depth - 1), true);
    if (!isMap(parent)) continue;
    const pair = parent.items.find((item) => String(item.key) === path[depth - 1]);
    const range = (pair?.key as { range?: Range } | undefined)?.range;
    if (range) return lines.linePos(range[0]).line;
  }
  return 1;
}

function revisionsOf(parts: readonly RevisionParts[]): Revisions {
  const of = (kind: keyof RevisionParts) => {
    const values = parts.flatMap((each) => each[kind] ?? []);
    return createHash("sha256").update(JSON.stringify(values)).digest("hex").slice(0, 16);
  };
  return { poolRevision: of("pool"), sizeRevision: of("size"), provisionRevision: of("provision") };
}
