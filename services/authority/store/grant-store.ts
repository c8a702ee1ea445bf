import type { Grant } from "./grant.ts";

/** A grant that an admin made. */
export type StoredGrant = Grant & {
  readonly grantId: string;
  /** The id of the principal that made the grant. */
  readonly madeBy: string;
  readonly createdAtMs: number;
};

/** The largest number of grants of one tenant. */
export const MAX_GRANTS = 1_000;

/** Grants that admins made. The methods reject with an AirlockError when the database cannot be used. */
export type GrantStore = {
  /** Adds a grant. Resolves to false, and changes nothing, when its tenant has MAX_GRANTS. */
  addGrant(grant: StoredGrant): Promise<boolean>;
  /** The grants of a tenant, newest first. */
  listGrants(tenant: string): Promise<StoredGrant[]>;
  /** Removes a grant of a tenant. Resolves to false when there is none with this id. */
  removeGrant(tenant: string, grantId: string): Promise<boolean>;
  /** The grants of all tenants for a certificate's name. */
  grantsOfCert(cert: string): Promise<StoredGrant[]>;
  /** The grants of all tenants for one subject of an issuer, and those by claims of the issuer's tokens. */
  grantsOfSubject(issuer: string, sub: string): Promise<StoredGrant[]>;
};
