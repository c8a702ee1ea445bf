/** The roles that a key may have, the highest first. */
export const KEY_ROLES = ["admin", "operator", "developer", "observer"] as const;
/** The roles that a principal may have, the highest first. A client without a credential is anonymous. */
export const ROLES = [...KEY_ROLES, "anonymous"] as const;
export type Role = (typeof ROLES)[number];

/** The kinds of principals: a person, an AI agent, any other program. */
export const PRINCIPAL_KINDS = ["human", "agent", "service"] as const;
export type PrincipalKind = (typeof PRINCIPAL_KINDS)[number];

type Rights = {
  /** What the permission allows, as the table of roles shows it. */
  readonly allows: string;
  readonly roles: readonly Role[];
  /** True: a principal of kind `agent` never has the permission, whatever its role is. */
  readonly notForAgents?: true;
};

const EVERY_ROLE = ROLES;
const SIGNED_IN: readonly Role[] = KEY_ROLES;
const WHO_RUN: readonly Role[] = ["admin", "operator", "developer"];
const WHO_WATCH: readonly Role[] = ["admin", "operator", "observer"];
const WHO_OPERATE: readonly Role[] = ["admin", "operator"];
const ADMIN: readonly Role[] = ["admin"];

/**
 * Every permission and the roles that have it. This is the only place that says so: the checks of the
 * services, the table in docs/identity.md and `GET /roles` all come from it.
 */
export const PERMISSIONS = {
  "public.read": { allows: "read /health, /docs and /openapi.json", roles: EVERY_ROLE },
  "execution.submit": { allows: "run scripts", roles: WHO_RUN },
  "execution.respond": { allows: "answer llm requests of own executions", roles: WHO_RUN },
  "execution.cancel": { allows: "cancel own executions", roles: WHO_RUN },
  "execution.read": { allows: "read own executions", roles: SIGNED_IN },
  "execution.read_all": { allows: "read all executions", roles: WHO_WATCH, notForAgents: true },
  "execution.respond_all": {
    allows: "answer llm requests of all executions",
    roles: WHO_OPERATE,
    notForAgents: true,
  },
  "execution.cancel_all": { allows: "cancel all executions", roles: WHO_OPERATE, notForAgents: true },
  "project.read": { allows: "read projects, /skill.md and /ready in detail", roles: SIGNED_IN },
  "project.scale": { allows: "start and stop a project's workers", roles: WHO_OPERATE },
  "redaction.read": { allows: "read which secrets were redacted", roles: WHO_WATCH },
  "dead_letter.read": { allows: "read dead letters", roles: WHO_WATCH },
  "dead_letter.retry": { allows: "retry dead letters", roles: WHO_OPERATE },
  "metrics.read": { allows: "read /metrics", roles: WHO_WATCH },
  "key.manage": { allows: "make keys for own agents", roles: WHO_RUN, notForAgents: true },
  "key.manage_all": { allows: "make, list and revoke all keys", roles: ADMIN, notForAgents: true },
  "grant.manage": {
    allows: "grant roles to tokens and certificates",
    roles: ADMIN,
    notForAgents: true,
  },
  "principal.manage": { allows: "disable principals", roles: ADMIN, notForAgents: true },
} as const satisfies Record<string, Rights>;

export type Permission = keyof typeof PERMISSIONS;

/** What of a principal decides about its permissions. */
export type Standing = {
  readonly role: Role;
  readonly kind: PrincipalKind;
  /** The roles of its makers; undefined when it has none. */
  readonly within?: readonly Role[];
};

/** Whether a principal has the permission. Neither it nor any of its makers' roles may lack it. */
export function has({ role, kind, within = [] }: Standing, permission: Permission): boolean {
  const rights: Rights = PERMISSIONS[permission];
  if (rights.notForAgents && kind === "agent") return false;
  return [role, ...within].every((each) => rights.roles.includes(each));
}

/** The permissions of a principal, in the order of the table. */
export function permissionsOf(principal: Standing): Permission[] {
  return (Object.keys(PERMISSIONS) as Permission[]).filter((permission) => has(principal, permission));
}

/** Whether `role` is the same as `limit` or comes after it in the order of roles. */
export function isAtMost(role: Role, limit: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(limit);
}
