import type { Grant } from "./grant.ts";
import type { Proven } from "./grantee.ts";
import type { GrantsFile } from "./grants-file.ts";

export type Grants = {
  /** The grants that may be for this identity. */
  of(proven: Proven): Promise<readonly Grant[]>;
};

export function createGrants(file: GrantsFile): Grants {
  return { of: async () => file.grants() };
}
