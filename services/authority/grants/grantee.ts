import { AirlockError } from "#common/errors.ts";
import type { Principal } from "#common/identity/principal.ts";
import { isAtMost, PRINCIPAL_KINDS } from "#common/identity/roles.ts";
import type { Grant } from "../store/grant.ts";
import type { Token } from "../tokens/tokens.ts";

/** Who has proved an identity for which grants say what it may do. */
export type Proven = { readonly cert: string } | Pick<Token, "issuer" | "sub" | "claims">;

/** The id of the principal that has proved this identity. No id of Airlock's own begins like it. */
export function idOf(proven: Proven): string {
  return "cert" in proven ? `cert:${proven.cert}` : `jwt:${proven.issuer}#${proven.sub}`;
}

/**
 * The principal by those grants that are for it. Of several in one tenant the highest role counts. `tenant` is
 * the one that the client asks for; undefined: the only one that it has grants in. Throws `no_grant`, and
 * `tenant_required` when there are several.
 */
export function principalBy(grants: readonly Grant[], proven: Proven, tenant: string | undefined): Principal {
  const id = idOf(proven);
  const own = grants.filter(({ to }) => isFor(to, proven));
  const tenants = [...new Set(own.map((grant) => grant.tenant))].sort();
  if (tenants.length === 0) {
    throw new AirlockError(
      "no_grant",
      `You are ${id}, and no grant says what you may do. Ask an admin for one (POST /grants, or the file of grants).`,
    );
  }
  if (tenant !== undefined && !tenants.includes(tenant)) {
    throw new AirlockError(
      "no_grant",
      `You are ${id}, and have no grant in the tenant that Airlock-Tenant names. You have one in: ${tenants.join(", ")}.`,
    );
  }
  if (tenant === undefined && tenants.length > 1) {
    throw new AirlockError(
      "tenant_required",
      `You have grants in several tenants: ${tenants.join(", ")}. Name one in the header Airlock-Tenant.`,
    );
  }
  const [best] = own.filter((grant) => grant.tenant === (tenant ?? tenants[0])).sort(byRank) as [Grant];
  return { id, kind: best.kind, tenant: best.tenant, role: best.role };
}

function isFor(to: Grant["to"], proven: Proven): boolean {
  if ("cert" in to || "cert" in proven) return "cert" in to && "cert" in proven && to.cert === proven.cert;
  if (to.issuer !== proven.issuer) return false;
  if ("sub" in to) return to.sub === proven.sub;
  const value = Object.hasOwn(proven.claims, to.claim) ? proven.claims[to.claim] : undefined;
  return Array.isArray(value) ? value.includes(to.equals) : value === to.equals;
}

/** The highest role first; of the same role a human first, because an agent is allowed less. */
function byRank(one: Grant, other: Grant): number {
  if (one.role !== other.role) return isAtMost(other.role, one.role) ? -1 : 1;
  return PRINCIPAL_KINDS.indexOf(one.kind) - PRINCIPAL_KINDS.indexOf(other.kind);
}
