import { DEAD_LETTER, DEAD_LETTER_LIST, RETRIED } from "./dead-letter.ts";
import {
  ACCEPTED,
  EXECUTE_BODY,
  EXECUTED,
  EXECUTION,
  LLM_REQUEST,
  REDACTIONS,
  RESPOND_BODY,
  WAITING_ON,
} from "./execution.ts";
import { EXECUTION_LIST, EXECUTION_SUMMARY } from "./execution-list.ts";
import { GRANT, GRANT_BODY, GRANT_LIST } from "./grant.ts";
import {
  KEY,
  KEY_BODY,
  KEY_LIST,
  ME,
  NEW_KEY,
  PRINCIPAL,
  PRINCIPAL_BODY,
  PRINCIPAL_LIST,
  ROLE_LIST,
} from "./identity.ts";
import { END_REASON, EXECUTION_STATUS, PROBLEM_CODE } from "./names.ts";
import { PROBLEM } from "./problem.ts";
import { PROJECT, PROJECT_LIST, PROJECT_STATE, PROJECT_SUMMARY } from "./project.ts";

type Schema = { readonly $id: string };

/**
 * Schemas with a name of their own in the OpenAPI document, so that generated clients have one type for each.
 */
const COMPONENTS: readonly Schema[] = [
  ...[EXECUTE_BODY, ACCEPTED, EXECUTED, EXECUTION, EXECUTION_SUMMARY, EXECUTION_LIST],
  ...[EXECUTION_STATUS, END_REASON, LLM_REQUEST, WAITING_ON, RESPOND_BODY, REDACTIONS],
  ...[PROJECT, PROJECT_SUMMARY, PROJECT_LIST, PROJECT_STATE],
  ...[ME, ROLE_LIST, KEY, KEY_LIST, NEW_KEY, KEY_BODY, PRINCIPAL, PRINCIPAL_LIST, PRINCIPAL_BODY],
  ...[GRANT, GRANT_LIST, GRANT_BODY],
  ...[DEAD_LETTER, DEAD_LETTER_LIST, RETRIED],
  ...[PROBLEM, PROBLEM_CODE],
];

const NO_NUL = "^[^\\u0000]*$";

/**
 * Patterns that stand only in the OpenAPI document, because the routes or the router check these rules in
 * code, with better messages. Rules that depend on the project or the machine (timeout, replicas) are in the
 * descriptions.
 */
const PATTERNS: Readonly<Record<string, Readonly<Record<string, object>>>> = {
  ExecuteRequest: {
    project: { pattern: NO_NUL },
    code: { pattern: "^[^\\u0000]*[^\\s\\u0000\\ufeff][^\\u0000]*$" },
    settings: {
      propertyNames: { pattern: "^(?!__proto__$)[^=\\u0000]+$" },
      additionalProperties: { type: "string", pattern: NO_NUL },
    },
  },
  RespondRequest: { response: { pattern: NO_NUL } },
};

/** All named schemas, each with references to the others. */
export function components(): object[] {
  return COMPONENTS.map((schema) => withPatterns(referMembers(schema) as Named));
}

type Named = { readonly $id: string; readonly properties?: Readonly<Record<string, object>> };

function withPatterns(schema: Named): object {
  const patterns = PATTERNS[schema.$id];
  if (!patterns) return schema;
  const properties = Object.entries(schema.properties ?? {}).map(([name, property]) => [
    name,
    { ...property, ...patterns[name] },
  ]);
  return { ...schema, properties: Object.fromEntries(properties) };
}

/** Replaces every named schema inside `schema` by a reference. */
export function withReferences(schema: unknown): unknown {
  if (COMPONENTS.includes(schema as Schema)) return { $ref: `${(schema as Schema).$id}#` };
  return referMembers(schema);
}

function referMembers(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(withReferences);
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, withReferences(member)]));
}
