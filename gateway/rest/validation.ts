import { Ajv, type ErrorObject, type ValidateFunction } from "ajv";
import type { FastifySchemaCompiler } from "fastify";
import { InvalidFields } from "./problems.ts";

const OPTIONS = { coerceTypes: false, removeAdditional: false, verbose: true, strict: true } as const;
const MAX_MEMBERS_FOR_FULL_REPORT = 1_000;

const firstError = new Ajv({ ...OPTIONS, allErrors: false });
const allErrors = new Ajv({ ...OPTIONS, allErrors: true });

/**
 * Validates bodies and queries against their schemas. All problems are reported together. Only for objects
 * with very many members just the first problem is reported, because an attacker could otherwise cause
 * millions of messages.
 */
export const compileValidator: FastifySchemaCompiler<object> = ({ schema, httpPart }) => {
  // Path parameters are not validated here, because the service that knows the names and ids answers 404 for
  // a wrong one.
  if (httpPart === "params") return () => true;
  // Headers are not validated here, because each route checks its own, with a message that fits a header.
  if (httpPart === "headers") return () => true;
  const subject = httpPart === "querystring" ? "query parameter " : "";
  // Schemas are compiled on first use, because compiling all of them would take a tenth of the allowed start
  // time.
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

// Whether all problems of `data` may be reported: no object in its first two levels has more members than
// MAX_MEMBERS_FOR_FULL_REPORT. No schema of the gateway looks deeper.
function isNarrow(data: unknown): boolean {
  if (typeof data !== "object" || data === null) return true;
  const members = Object.values(data);
  return [data, ...members].every(
    (value) =>
      typeof value !== "object" || value === null || Object.keys(value).length <= MAX_MEMBERS_FOR_FULL_REPORT,
  );
}
