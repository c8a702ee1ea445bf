import { Ajv } from "ajv";
import { isNode, isSeq, LineCounter, parseDocument } from "yaml";
import { CLIENT_NAME } from "#common/identity/identity.ts";
import { DEFAULT_TENANT, TENANT } from "#common/identity/principal.ts";
import { KEY_ROLES, PRINCIPAL_KINDS, type PrincipalKind } from "#common/identity/roles.ts";
import { describeSchemaErrors } from "#common/projects/schema-problems.ts";
import { valueOfYaml } from "#common/projects/yaml-mistakes.ts";
import { type Grant, type GrantedRole, type Grantee, usualKind } from "../store/grant.ts";

/** Most grants in one file, and most bytes of the file. */
export const GRANT_LIMITS = { grants: 1_000, bytes: 256 * 1_024 } as const;
const MAX_PROBLEMS = 20;

const text = (maxLength: number) => ({
  type: "string",
  minLength: 1,
  maxLength,
  // PostgreSQL stores no NUL, and a line end would be a mistake of quoting.
  pattern: "^[^\\u0000-\\u001f\\u007f]*$",
  $comment: "without control characters",
});
const name = (pattern: RegExp, $comment: string) => ({ type: "string", pattern: pattern.source, $comment });

const GRANT = {
  type: "object",
  additionalProperties: false,
  required: ["role"],
  properties: {
    cert: name(CLIENT_NAME, "a name of 1 to 63 of a-z, 0-9 and -"),
    issuer: text(512),
    sub: text(255),
    claim: text(255),
    equals: text(1_024),
    role: { type: "string", enum: KEY_ROLES },
    kind: { type: "string", enum: PRINCIPAL_KINDS },
    tenant: name(TENANT, "a name of 1 to 40 of a-z, 0-9 and -"),
  },
} as const;

const FORMS = "must have cert, or issuer and sub, or issuer, claim and equals";

/** A grant as it is written, whose fields are right one by one. */
export type WrittenGrant = {
  readonly cert?: string | undefined;
  readonly issuer?: string | undefined;
  readonly sub?: string | undefined;
  readonly claim?: string | undefined;
  readonly equals?: string | undefined;
  readonly role: GrantedRole;
  readonly kind?: PrincipalKind | undefined;
  readonly tenant?: string | undefined;
};

/** The grant that was written, or what is wrong with it as the end of a sentence. */
export function grantOf(written: WrittenGrant): Grant | string {
  const to = granteeOf(written);
  if (!to) return FORMS;
  return {
    to,
    role: written.role,
    kind: written.kind ?? usualKind(to),
    tenant: written.tenant ?? DEFAULT_TENANT,
  };
}

/** What is wrong with the fields of a grant one by one; undefined: nothing. */
export function grantProblem(written: object): string | undefined {
  if (isGrant(written)) return undefined;
  return describeSchemaErrors(isGrant.errors ?? [])
    .map(({ field, message }) => `"${field}" ${message}`)
    .join("; ");
}

function granteeOf({ cert, issuer, sub, claim, equals }: WrittenGrant): Grantee | undefined {
  const given = [cert, issuer, sub, claim, equals].filter((field) => field !== undefined).length;
  if (cert !== undefined) return given === 1 ? { cert } : undefined;
  if (issuer === undefined) return undefined;
  if (sub !== undefined) return given === 2 ? { issuer, sub } : undefined;
  return claim === undefined || equals === undefined ? undefined : { issuer, claim, equals };
}

/** Reads the grants of a file, or all its problems, one a line. `fileName` is for the problems. */
export function parseGrants(
  fileName: string,
  content: string,
): readonly Grant[] | { readonly problem: string } {
  const lines = new LineCounter();
  const document = parseDocument(content, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  const lineOfGrant = (index: number) => {
    const item = isSeq(document.contents) ? document.contents.items[index] : undefined;
    return isNode(item) && item.range ? lines.linePos(item.range[0]).line : 1;
  };
  const refuse = (problems: readonly (readonly [line: number, text: string])[]) => ({
    problem: problems
      .slice(0, MAX_PROBLEMS)
      .map(([line, told]) => `${fileName}:${line}: ${told}`)
      .join("\n"),
  });
  const read = valueOfYaml(document);
  if (!("value" in read))
    return refuse(read.map((each) => [lines.linePos(each.position).line, `not valid YAML: ${each.text}`]));
  const list = read.value ?? [];
  if (!Array.isArray(list)) return refuse([[1, "the file must be a list of grants, each after a -"]]);
  if (list.length > GRANT_LIMITS.grants)
    return refuse([[1, `the file must have at most ${GRANT_LIMITS.grants} grants`]]);
  const problems: [number, string][] = [];
  const grants: Grant[] = [];
  for (const [index, written] of list.entries()) {
    if (!isGrant(written)) {
      for (const { field, message } of describeSchemaErrors(isGrant.errors ?? []))
        problems.push([
          lineOfGrant(index),
          field === "" ? `the grant ${message}` : `field "${field}" ${message}`,
        ]);
      continue;
    }
    const grant = grantOf(written);
    if (typeof grant === "string") problems.push([lineOfGrant(index), `the grant ${grant}`]);
    else grants.push(grant);
  }
  return problems.length > 0 ? refuse(problems) : grants;
}

const isGrant = new Ajv({
  allErrors: true,
  verbose: true,
  validateSchema: false,
  code: { optimize: false },
}).compile<WrittenGrant>(GRANT);
