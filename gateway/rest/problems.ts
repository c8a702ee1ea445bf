import type { ErrorObject } from "ajv";
import { AirlockError, ERROR_RULES, type ErrorCode } from "#common/errors.ts";
import { describeSchemaErrors, type SchemaProblem } from "#common/projects/schema-problems.ts";

/** A problem document (RFC 9457), with a `code` for programs to branch on. */
export type Problem = {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ErrorCode;
  /** The problem of each invalid field; absent when the error is not about fields. */
  readonly errors?: readonly SchemaProblem[];
  /** The readiness of each service, by name; only in answers of GET /ready. */
  readonly services?: Readonly<Record<string, string>>;
};

export const PROBLEM_MEDIA_TYPE = "application/problem+json";

const MAX_LISTED = 20;
const MAX_NAME_LENGTH = 100;

/** A request that is refused because of some of its fields. */
export class InvalidFields extends AirlockError {
  readonly fields: readonly SchemaProblem[];

  /**
   * `subject` stands before each field's name in the message, with a trailing space: "query parameter ", or
   * "" for a field of the body.
   */
  constructor(fields: readonly SchemaProblem[], subject = "") {
    const listed = fields
      .slice(0, MAX_LISTED)
      .map(({ field, message }) => ({ field: wholeOrLength(field), message }));
    const sentences = listed.map(({ field, message }) =>
      field ? `${subject}"${field}" ${message}` : `The body ${message}`,
    );
    const more = fields.length > MAX_LISTED ? `; and ${fields.length - MAX_LISTED} more` : "";
    super("invalid_request", `${sentences.join("; ")}${more}.`);
    this.fields = listed;
  }

  static fromSchemaErrors(errors: readonly ErrorObject[], subject = ""): InvalidFields {
    return new InvalidFields(describeSchemaErrors(errors), subject);
  }
}

export function toProblem(error: AirlockError): Problem {
  const { http, title } = ERROR_RULES[error.code];
  return {
    type: `urn:airlock:problem:${error.code}`,
    title,
    status: http,
    detail: error.message,
    code: error.code,
    ...fieldsOf(error),
  };
}

function fieldsOf(error: AirlockError): Pick<Problem, "errors"> {
  if (error instanceof InvalidFields) return { errors: error.fields };
  return error.field === undefined ? {} : { errors: [{ field: error.field, message: error.message }] };
}

/**
 * The HTTP headers of a problem document; Retry-After only for codes that may be retried. `seconds` is the time
 * that the error itself names; undefined: that of its code.
 */
export function problemHeaders(
  { code }: Pick<Problem, "code">,
  seconds = ERROR_RULES[code].retryAfterSeconds,
): Record<string, string> {
  return {
    "content-type": PROBLEM_MEDIA_TYPE,
    ...(seconds ? { "retry-after": String(seconds) } : {}),
  };
}

// Replaces a long field name by its length, because the name of an unknown field is the client's own text and
// may be megabytes long. A message never holds a part of a value.
function wholeOrLength(name: string): string {
  return name.length > MAX_NAME_LENGTH ? `a name of ${name.length} characters` : name;
}
