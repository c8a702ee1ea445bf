import { isIP } from "node:net";
import type { FromSchema } from "json-schema-to-ts";
import { parseAllowedHost } from "../network.ts";
import type { FieldProblem } from "./section.ts";
import { TEXT } from "./text.ts";

/** The schema of `inject`, by which a secret becomes a brokered secret. */
export const INJECT = {
  type: "object",
  required: ["host", "header"],
  additionalProperties: false,
  properties: { host: TEXT, header: TEXT, format: TEXT },
} as const;

/**
 * The only destination to which the egress service may send a brokered secret: one header in requests to one
 * host.
 */
export type Injection = {
  readonly host: string;
  readonly port: number;
  readonly header: string;
  /** The text of the header, with {} in place of the secret's value. */
  readonly format: string;
};

type InjectDocument = FromSchema<typeof INJECT>;

const HEADER_PATTERN = /^[A-Za-z0-9-]+$/;
// Headers that a secret must not replace, because they frame the HTTP message or steer the connection.
const RESERVED_HEADERS =
  /^(host|content-.*|transfer-encoding|connection|keep-alive|upgrade|te|trailer|expect|range|accept-encoding|proxy-.*)$/i;
const HEADER_VALUE_PATTERN = /^[\x20-\x7e]*$/;

/**
 * Reads the `inject` of a secret in a project file. The port is 443 and the format `{}` unless the file says
 * otherwise.
 */
export function injectionOf({ host, header, format = "{}" }: InjectDocument): Injection {
  const target = parseAllowedHost(host);
  return { host: target?.host ?? host, port: target?.port ?? 443, header: header.toLowerCase(), format };
}

/**
 * The problems of an `inject`; `field` is its place in the file, such as `secrets.TOKEN.inject`. An empty
 * list when there are none.
 */
export function injectionProblems(
  field: string,
  { host, header, format = "{}" }: InjectDocument,
): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const target = parseAllowedHost(host);
  if (!target || target.wildcard || isIP(target.host) !== 0) {
    problems.push({
      field: `${field}.host`,
      message: "must be one host name, with or without a port, such as erp.example:8443",
    });
  }
  if (!HEADER_PATTERN.test(header) || RESERVED_HEADERS.test(header)) {
    problems.push({
      field: `${field}.header`,
      message: "must be a header that can carry a secret, such as Authorization",
    });
  }
  if (format.split("{}").length !== 2 || !HEADER_VALUE_PATTERN.test(format)) {
    problems.push({
      field: `${field}.format`,
      message: "must be printable ASCII that contains {} exactly once",
    });
  }
  return problems;
}
