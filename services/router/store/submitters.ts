import { LOCAL_SUBMITTER, type Scope, type Submitter } from "#common/identity/ownership.ts";

export type SubmitterRow = { tenant: string; principal: string; maker: string };

/** The SQL columns of an execution's submitter. */
export const SUBMITTER_COLUMNS = "tenant, principal, maker";

export function toSubmitter({ tenant, principal, maker }: SubmitterRow): Submitter {
  return { tenant, principal, maker };
}

/**
 * The value of the column `key` for an idempotency key of this submitter, so that the key is used once for
 * each principal of a tenant. A key contains no space. Executions of `system:local` have their keys as they
 * are, because routers of earlier releases stored them so.
 */
export function storedKey(key: string, { tenant, principal }: Submitter): string {
  const isLocal = tenant === LOCAL_SUBMITTER.tenant && principal === LOCAL_SUBMITTER.principal;
  return isLocal ? key : `${tenant} ${principal} ${key}`;
}

/** The parameters of the SQL condition `inScope`. Without a scope the condition holds for every execution. */
export function scopeValues(scope: Scope | undefined): [tenant: string | null, principal: string | null] {
  return [scope?.tenant ?? null, scope?.principal ?? null];
}

/**
 * The SQL condition that an execution is in a scope. `tenant` and `principal`: the parameters, which
 * `scopeValues` returns.
 */
export function inScope(tenant: string, principal: string): string {
  return `(${tenant} IS NULL OR (tenant = ${tenant}
    AND (${principal} IS NULL OR principal = ${principal} OR maker = ${principal})))`;
}
