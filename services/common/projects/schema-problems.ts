import type { ErrorObject } from "ajv";

/**
 * One problem of a document: its `field` (`limits.timeout`; empty for the whole document), and a sentence
 * that says what is allowed.
 */
export type SchemaProblem = { readonly field: string; readonly message: string };

/**
 * Turns ajv's errors into sentences that name the field and what is allowed, and never repeat the wrong
 * value.
 */
export function describeSchemaErrors(errors: readonly ErrorObject[]): SchemaProblem[] {
  const problems = errors
    // ajv also reports each branch of a failed oneOf and the key behind a bad name; the error of the oneOf or
    // the name itself says enough.
    .filter(
      (error) =>
        error.keyword !== "if" && !error.schemaPath.includes("/oneOf/") && error.propertyName === undefined,
    )
    .map((error) => ({ field: fieldOf(error), message: sentence(error) }));
  return [...new Map(problems.map((problem) => [JSON.stringify(problem), problem])).values()];
}

function fieldOf(error: ErrorObject): string {
  const path = error.instancePath
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
  const { params } = error;
  if (error.keyword === "additionalProperties") path.push(params.additionalProperty);
  if (error.keyword === "required") path.push(params.missingProperty);
  if (error.keyword === "propertyNames") path.push(params.propertyName);
  return path.join(".");
}

function sentence({ keyword, params, parentSchema, schema }: ErrorObject): string {
  // The schema's own description of its pattern or of its allowed forms; undefined when it has none.
  const meant: string | undefined = parentSchema?.$comment;
  switch (keyword) {
    case "additionalProperties":
      return `is not a known field; ${knownFields(Object.keys(parentSchema?.properties ?? {}))}`;
    case "required":
      return "is missing";
    case "propertyNames":
      return `is not an allowed name${withReason("; it must be ", (schema as typeof parentSchema)?.$comment)}`;
    case "type":
      return `must be ${withArticle(nameOfType(params.type))}`;
    case "enum":
      return `must be one of ${withoutNull(params.allowedValues).join(", ")}`;
    case "oneOf":
      return `has none of the allowed forms${withReason(": ", meant)}`;
    case "minimum":
      return `must be at least ${params.limit}`;
    case "maximum":
      return `must be at most ${params.limit}`;
    case "exclusiveMinimum":
      return `must be more than ${params.limit}`;
    case "minLength":
      return params.limit === 1
        ? "must not be empty"
        : `must have at least ${counted(params.limit, "character")}`;
    case "maxLength":
      return `must have at most ${counted(params.limit, "character")}`;
    case "maxItems":
    case "maxProperties":
      return `must have at most ${params.limit === 1 ? "1 entry" : `${params.limit} entries`}`;
    case "pattern":
      return meant ? `must be ${meant}` : `must match ${params.pattern}`;
    case "format":
      return `must be a ${params.format}`;
    default:
      return `breaks the rule "${keyword}"`;
  }
}

function knownFields(names: readonly string[]): string {
  return names.length > 0 ? `the known fields are ${names.join(", ")}` : "there are none here";
}

/** The allowed values without null, because a field that may be null may also be omitted. */
function withoutNull(values: readonly unknown[]): unknown[] {
  return values.filter((value) => value !== null);
}

/** The allowed JSON types of a field in words, such as `string or number`, without null as well. */
function nameOfType(type: string | readonly string[]): string {
  return [type]
    .flat()
    .filter((name) => name !== "null")
    .join(" or ");
}

function withArticle(noun: string): string {
  return /^[aeiou]/.test(noun) ? `an ${noun}` : `a ${noun}`;
}

function withReason(before: string, reason: string | undefined): string {
  return reason === undefined ? "" : before + reason;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
