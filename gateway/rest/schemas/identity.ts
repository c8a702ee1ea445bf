import type { FromSchema } from "json-schema-to-ts";
import { KEY_LIMITS } from "#common/identity/api-key.ts";
import { CLIENT_NAME } from "#common/identity/identity.ts";
import { MAX_RATE } from "#common/identity/rate-limits.ts";
import { KEY_ROLES, PERMISSIONS, PRINCIPAL_KINDS, ROLES } from "#common/identity/roles.ts";
import { INSTANT } from "./names.ts";
import { type Given, optional } from "./optional.ts";

const ROLE = { type: "string", enum: ROLES } as const;
const KEY_ROLE = { type: "string", enum: KEY_ROLES } as const;
const KIND = {
  type: "string",
  enum: PRINCIPAL_KINDS,
  description:
    "agent: a program that decides by itself. service: a program that does what it was written for.",
} as const;
const PRINCIPAL_ID = { type: "string", examples: ["key:bot"] } as const;
const PROJECTS = {
  type: "array",
  items: { type: "string" },
  description: "The projects that the key is limited to; empty: all.",
} as const;
const PERMISSION_LIST = {
  type: "array",
  items: { type: "string", enum: Object.keys(PERMISSIONS) },
} as const;

export const ME = {
  $id: "Me",
  type: "object",
  required: ["principal", "kind", "tenant", "role", "permissions", "projects", "rate", "expires_at"],
  properties: {
    principal: PRINCIPAL_ID,
    kind: KIND,
    tenant: { type: "string" },
    role: ROLE,
    permissions: PERMISSION_LIST,
    projects: PROJECTS,
    rate: {
      type: ["object", "null"],
      description: "The requests that change something; null: they are not counted.",
      required: ["limit", "remaining", "reset"],
      properties: {
        limit: { type: "integer", description: "How many a minute." },
        remaining: { type: "integer" },
        reset: { type: "integer", description: "Seconds until all are left again." },
      },
    },
    expires_at: {
      ...INSTANT,
      type: ["string", "null"],
      description: "When the credential ends; null: never.",
    },
  },
} as const;

export const ROLE_LIST = {
  $id: "RoleList",
  type: "object",
  required: ["roles"],
  properties: {
    roles: {
      type: "array",
      items: {
        type: "object",
        required: ["role", "permissions"],
        properties: {
          role: ROLE,
          permissions: PERMISSION_LIST,
        },
      },
    },
  },
} as const;

const KEY_FIELDS = {
  key_id: { type: "string", description: "The public part of the key." },
  name: { type: "string" },
  principal: PRINCIPAL_ID,
  kind: KIND,
  role: KEY_ROLE,
  projects: PROJECTS,
  rate: {
    type: ["integer", "null"],
    description: "The changes a minute that the key allows; null: as many as the role.",
  },
  made_by: { ...PRINCIPAL_ID, description: "The principal that made the key." },
  created_at: INSTANT,
  expires_at: { ...INSTANT, type: ["string", "null"], description: "null: never." },
  last_used_at: { ...INSTANT, type: ["string", "null"], description: "To the minute; null: never." },
  revoked_at: { ...INSTANT, type: ["string", "null"], description: "null: it is in force." },
} as const;

export const KEY = {
  $id: "Key",
  type: "object",
  required: [
    "key_id",
    "name",
    "principal",
    "kind",
    "role",
    "projects",
    "rate",
    "made_by",
    "created_at",
    "expires_at",
    "last_used_at",
    "revoked_at",
  ],
  properties: KEY_FIELDS,
} as const;

export const KEY_LIST = {
  $id: "KeyList",
  type: "object",
  required: ["keys"],
  properties: { keys: { type: "array", items: KEY } },
} as const;

export const NEW_KEY = {
  $id: "NewKey",
  type: "object",
  required: ["key_id", "key", "principal", "expires_at"],
  properties: {
    key_id: KEY_FIELDS.key_id,
    key: { type: "string", description: "The whole key. It is shown only here: keep it." },
    principal: PRINCIPAL_ID,
    expires_at: KEY_FIELDS.expires_at,
  },
} as const;

export const KEY_BODY = {
  $id: "KeyRequest",
  type: "object",
  additionalProperties: false,
  required: ["name"],
  properties: {
    name: {
      type: "string",
      pattern: CLIENT_NAME.source,
      description:
        'Names the key, and its new principal "key:NAME". 1 to 63 of a-z, 0-9 and -; begins and ends with a letter or digit.',
      examples: ["bot"],
    },
    kind: {
      ...optional("string"),
      enum: [...PRINCIPAL_KINDS, null],
      description: "agent unless given. Only an admin may make keys of humans and services.",
    },
    role: {
      ...optional("string"),
      enum: [...KEY_ROLES, null],
      description: "developer unless given. Never higher than your own.",
    },
    projects: {
      ...optional("array"),
      items: { type: "string", minLength: 1 },
      maxItems: KEY_LIMITS.projects,
      description: PROJECTS.description,
    },
    expires_in: {
      ...optional("integer"),
      minimum: 1,
      maximum: KEY_LIMITS.lifeSeconds,
      description: "Seconds until the key ends; 7,776,000 (90 days) unless given.",
    },
    rate: {
      ...optional("integer"),
      minimum: 1,
      maximum: MAX_RATE,
      description:
        "The requests a minute that change something, ten times as many that read; as many as the role allows unless given. Only an admin may allow more than the own role has.",
    },
    principal: {
      ...optional("string"),
      minLength: 1,
      description: "An existing principal that gets one more key, to replace one without a pause.",
    },
  },
} as const;
export type KeyBody = Given<FromSchema<typeof KEY_BODY>>;

export const KEY_PARAMS = {
  type: "object",
  required: ["key_id"],
  properties: { key_id: { type: "string" } },
} as const;
export type KeyParams = FromSchema<typeof KEY_PARAMS>;

export const PRINCIPAL = {
  $id: "Principal",
  type: "object",
  required: ["principal", "kind", "tenant", "made_by", "disabled", "created_at"],
  properties: {
    principal: PRINCIPAL_ID,
    kind: KIND,
    tenant: { type: "string" },
    made_by: PRINCIPAL_ID,
    disabled: { type: "boolean" },
    created_at: INSTANT,
  },
} as const;

export const PRINCIPAL_LIST = {
  $id: "PrincipalList",
  type: "object",
  required: ["principals"],
  properties: { principals: { type: "array", items: PRINCIPAL } },
} as const;

export const PRINCIPAL_PARAMS = {
  type: "object",
  required: ["principal"],
  properties: { principal: { type: "string" } },
} as const;
export type PrincipalParams = FromSchema<typeof PRINCIPAL_PARAMS>;

export const PRINCIPAL_BODY = {
  $id: "PrincipalChange",
  type: "object",
  additionalProperties: false,
  required: ["disabled"],
  properties: { disabled: { type: "boolean" } },
} as const;
export type PrincipalBody = FromSchema<typeof PRINCIPAL_BODY>;
