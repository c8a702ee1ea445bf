import type { FromSchema } from "json-schema-to-ts";
import { CLIENT_NAME } from "#common/identity/identity.ts";
import { KEY_ROLES, PRINCIPAL_KINDS } from "#common/identity/roles.ts";
import { INSTANT } from "./names.ts";
import { type Given, optional } from "./optional.ts";

const TO = {
  cert: "The name in a client certificate.",
  issuer: "The `iss` of tokens.",
  sub: "One subject of the issuer.",
  claim: "A claim of the issuer's tokens, such as groups.",
  equals: "The claim is this text, or a list that has it.",
} as const;
const nullableText = (description: string) => ({ type: ["string", "null"], description }) as const;

export const GRANT = {
  $id: "Grant",
  type: "object",
  required: [
    ...["grant_id", "cert", "issuer", "sub", "claim", "equals"],
    ...["role", "kind", "tenant", "made_by", "created_at"],
  ],
  properties: {
    grant_id: nullableText("null: the grant stands in the authority's file and is changed there."),
    cert: nullableText(TO.cert),
    issuer: nullableText(TO.issuer),
    sub: nullableText(TO.sub),
    claim: nullableText(TO.claim),
    equals: nullableText(TO.equals),
    role: { type: "string", enum: KEY_ROLES },
    kind: { type: "string", enum: PRINCIPAL_KINDS },
    tenant: { type: "string" },
    made_by: nullableText("The principal that made the grant; null: the file."),
    created_at: { ...INSTANT, type: ["string", "null"], description: "null: the grant stands in the file." },
  },
} as const;

export const GRANT_LIST = {
  $id: "GrantList",
  type: "object",
  required: ["grants"],
  properties: { grants: { type: "array", items: GRANT } },
} as const;

// As in the authority's file of grants.
const TEXT = { ...optional("string"), minLength: 1, pattern: "^[^\\u0000-\\u001f\\u007f]*$" } as const;

/** One of the forms of a grant: it has these fields, and none of the others. */
function form(...fields: readonly (keyof typeof TO)[]) {
  const others = (Object.keys(TO) as (keyof typeof TO)[]).filter((field) => !fields.includes(field));
  return {
    type: "object",
    required: fields,
    properties: Object.fromEntries([
      ...fields.map((field) => [field, { type: "string" }]),
      ...others.map((field) => [field, { type: "null" }]),
    ]),
  };
}

/** The forms of a grant. */
const FORMS = {
  $comment: "cert; issuer and sub; or issuer, claim and equals",
  oneOf: [form("cert"), form("issuer", "sub"), form("issuer", "claim", "equals")],
};

export const GRANT_BODY = {
  $id: "GrantRequest",
  type: "object",
  additionalProperties: false,
  required: ["role"],
  description: "For cert; for issuer and sub; or for issuer, claim and equals.",
  ...(FORMS as object),
  properties: {
    cert: { ...optional("string"), pattern: CLIENT_NAME.source, description: TO.cert },
    issuer: { ...TEXT, maxLength: 512, description: TO.issuer },
    sub: { ...TEXT, maxLength: 255, description: TO.sub },
    claim: { ...TEXT, maxLength: 255, description: TO.claim },
    equals: { ...TEXT, maxLength: 1_024, description: TO.equals },
    role: { type: "string", enum: KEY_ROLES },
    kind: {
      ...optional("string"),
      enum: [...PRINCIPAL_KINDS, null],
      description: "service for a certificate, agent for tokens unless given. human: a person.",
    },
  },
} as const;
export type GrantBody = Given<FromSchema<typeof GRANT_BODY>>;

export const GRANT_PARAMS = {
  type: "object",
  required: ["grant_id"],
  properties: { grant_id: { type: "string" } },
} as const;
export type GrantParams = FromSchema<typeof GRANT_PARAMS>;
