import { randomUUID } from "node:crypto";
import { AirlockError } from "#common/errors.ts";
import type { Principal } from "#common/identity/principal.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Grant } from "../store/grant.ts";
import { type GrantStore, MAX_GRANTS, type StoredGrant } from "../store/grant-store.ts";
import type { Proven } from "./grantee.ts";
import type { GrantsFile } from "./grants-file.ts";
import { grantOf, grantProblem, type WrittenGrant } from "./parse-grants.ts";

export type Grants = {
  /** The grants that may be for this identity, from the file and from the store. */
  of(proven: Proven): Promise<readonly Grant[]>;
  /** Makes a grant in the tenant of `maker`. Rejects with `invalid_request` for one that makes no sense. */
  create(maker: Principal, wish: Omit<WrittenGrant, "tenant">): Promise<StoredGrant>;
  /** The grants of the viewer's tenant: those of the file, then those of the store, newest first. */
  list(viewer: Principal): Promise<readonly (Grant | StoredGrant)[]>;
  /** Removes a grant of the remover's tenant. Rejects with `grant_not_found`; the file's have no id. */
  remove(remover: Principal, grantId: string): Promise<void>;
};

export function createGrants(file: GrantsFile, store: GrantStore, clock: Clock): Grants {
  return {
    async of(proven) {
      const stored =
        "cert" in proven
          ? await store.grantsOfCert(proven.cert)
          : await store.grantsOfSubject(proven.issuer, proven.sub);
      return [...file.grants(), ...stored];
    },
    async create(maker, wish) {
      if (maker.projects) {
        throw new AirlockError(
          "permission_denied",
          `Your key is for these projects only: ${maker.projects.join(", ")}. A grant is for all projects, so that only a key for all may make one.`,
        );
      }
      const problem = grantProblem(wish);
      const grant = grantOf(wish);
      if (problem !== undefined || typeof grant === "string")
        throw new AirlockError("invalid_request", `The grant is not valid: ${problem ?? `it ${grant}`}.`);
      const stored: StoredGrant = {
        ...grant,
        tenant: maker.tenant,
        grantId: randomUUID(),
        madeBy: maker.id,
        createdAtMs: clock.now(),
      };
      if (!(await store.addGrant(stored)))
        throw new AirlockError(
          "invalid_request",
          `The tenant has ${MAX_GRANTS} grants, the most there may be. Delete some, or grant a role by a claim instead of by subjects.`,
        );
      return stored;
    },
    list: async ({ tenant }) => [
      ...file.grants().filter((grant) => grant.tenant === tenant),
      ...(await store.listGrants(tenant)),
    ],
    async remove({ tenant }, grantId) {
      if (await store.removeGrant(tenant, grantId)) return;
      throw new AirlockError(
        "grant_not_found",
        "There is no grant with this id. GET /grants lists them; those without an id stand in the authority's file of grants.",
      );
    },
  };
}
