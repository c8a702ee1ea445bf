import type { Principal } from "#common/identity/principal.ts";
import type { FoundKey, StoredPrincipal } from "../store/store.ts";
import { type Proven, principalBy } from "./grantee.ts";
import type { Grants } from "./grants.ts";

const BY_GRANTS = /^(?:cert:(?<cert>[^#]+)|jwt:(?<issuer>[^#]+)#(?<sub>.+))$/s;

/** Whether grants say what this principal may do: whether a token or a certificate proves its id. */
export function isByGrants(id: string): boolean {
  return BY_GRANTS.test(id);
}

/** Principals of tokens that make keys for their agents. */
export type Makers = {
  /**
   * The principal by the grants that name it, or undefined when none does. Grants by a claim do not count,
   * because nothing shows the claim while the token is not there.
   */
  named(id: string, tenant: string): Promise<Principal | undefined>;
  /** Adds the maker that grants speak of to the line of a key, which has only principals with keys. */
  complete(found: FoundKey): Promise<FoundKey>;
};

/** `find` finds a principal's row, which says whether it is disabled. */
export function createMakers(
  grants: Pick<Grants, "of">,
  find: (id: string) => Promise<StoredPrincipal | undefined>,
): Makers {
  const named = async (id: string, tenant: string) => {
    const { cert, issuer = "", sub = "" } = BY_GRANTS.exec(id)?.groups ?? {};
    const proven: Proven = cert === undefined ? { issuer, sub, claims: {} } : { cert };
    const all = (await grants.of(proven)).filter(({ to }) => !("claim" in to));
    try {
      return principalBy(all, proven, tenant);
    } catch {
      return undefined;
    }
  };
  return {
    named,
    async complete(found) {
      const { tenant, kind } = found.key;
      const [own] = found.line;
      // The maker of the principal answers for it, whoever made this one of its keys.
      if (kind !== "agent" || !own || !isByGrants(own.madeBy)) return found;
      const { madeBy } = own;
      const maker = await named(madeBy, tenant);
      // An agent makes no keys, so a grant that makes an agent of the maker ends its agents' keys.
      if (!maker || maker.kind === "agent") return found;
      const row = await find(madeBy);
      const ancestor = {
        ...{ id: madeBy, kind: maker.kind, tenant, madeBy: "system:airlock", createdAtMs: 0 },
        disabled: row?.disabled === true && row.tenant === tenant,
        highestRole: maker.role,
      };
      return { ...found, line: [own, ancestor] };
    },
  };
}
