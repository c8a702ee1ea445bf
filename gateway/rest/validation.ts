import { Ajv, type ErrorObject, type ValidateFunction } from "ajv";
import type { FastifySchemaCompiler } from "fastify";
import { InvalidFields } from "./problems.ts";

const OPTIONS = { coerceTypes: false, removeAdditional: false, verbose: true, strict: true } as const;
const MAX_MEMBERS_FOR_FULL_REPORT = 1_000;

const firstError = new Ajv({ ...OPTIONS, allErrors: false });
const allErrors = new Ajv({ ...OPTIONS, allErrors: true });

/**
 * Validates what fastify hands over. All problems are told together, except of a document so wide that an attacker
 * could have millions of them written up: there the first must do.
 */
export const compileValidator: FastifySchemaCompiler<object> = ({ schema, httpPart }) => {
  // A path that names nothing is a 404 of the service that knows the names, not a refusal of the edge.
  if (httpPart === "params") return () => true;
  // Its route judges a header itself, in words that fit one.
  if (httpPart === "headers") return () => true;
  const subject = httpPart === "querystring" ? "query parameter " : "";
  // Compiled on first use: all of them together would take a tenth of the time that a start may take.
  let isValid: ValidateFunction | undefined;
  let explain: ValidateFunction | undefined;
  return (data: unknown) => {
    isValid ??= firstError.compile(schema);
    if (isValid(data)) return { value: data };
    let errors: ErrorObject[] = isValid.errors ?? [];
    if (isNarrow(data)) {
      explain ??= allErrors.compile(schema);
      explain(data);
      errors = explain.errors ?? errors;
    }
    return { error: InvalidFields.fromSchemaErrors(errors, subject) };
  };
};

// No schema of the gateway looks deeper than two levels.
function isNarrow(data: unknown): boolean {
  if (typeof data !== "object" || data === null) return true;
  const members = Object.values(data);
  return [data, ...members].every(
    (value) =>
      typeof value !== "object" || value === null || Object.keys(value).length <= MAX_MEMBERS_FOR_FULL_REPORT,
  );
}
