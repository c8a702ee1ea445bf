import { LOCAL_PRINCIPAL, type Principal } from "./principal.ts";
import { has, type Permission } from "./roles.ts";

/**
 * The principal that submitted an execution, as it is stored with the execution. The submitter of an execution
 * never changes, whichever router runs the execution and whoever retries it.
 */
export type Submitter = {
  readonly tenant: string;
  /** The id of the principal. */
  readonly principal: string;
  /** The id of the principal that made this principal's key; empty when there is none. */
  readonly maker: string;
};

/** The executions that a call may reach: those of one tenant, or those of one principal in it. */
export type Scope = {
  readonly tenant: string;
  /**
   * The id of a principal. The scope has then only the executions that this principal submitted, and those of
   * principals whose keys it made. Undefined: the scope has all executions of the tenant.
   */
  readonly principal: string | undefined;
};

// For each permission on a principal's own executions, the permission on all executions of its tenant.
const ON_ALL = {
  "execution.read": "execution.read_all",
  "execution.respond": "execution.respond_all",
  "execution.cancel": "execution.cancel_all",
} as const satisfies Partial<Record<Permission, Permission>>;

type OnOwn = keyof typeof ON_ALL;

/** The submitter that is stored with the executions of a principal. */
export function submitterOf({ id, tenant, maker = "" }: Principal): Submitter {
  return { tenant, principal: id, maker };
}

/** The submitter of executions for which no principal is named, such as those of earlier releases. */
export const LOCAL_SUBMITTER: Submitter = submitterOf(LOCAL_PRINCIPAL);

/** The permission that a principal needs on executions that are not its own. */
export function onAll(permission: OnOwn): Permission {
  return ON_ALL[permission];
}

/** The executions that a principal reaches with this permission. No permission reaches another tenant's. */
export function scopeOf(principal: Principal, permission: OnOwn): Scope {
  return {
    tenant: principal.tenant,
    principal: has(principal, ON_ALL[permission]) ? undefined : principal.id,
  };
}

/** Whether executions of this submitter are in the scope. */
export function isInScope({ tenant, principal }: Scope, submitter: Submitter): boolean {
  if (submitter.tenant !== tenant) return false;
  return principal === undefined || principal === submitter.principal || principal === submitter.maker;
}
