import type { Grant } from "../store/grant.ts";

/** The issuers that grants name and whose tokens are not accepted, so that the grants have no effect. */
export function otherIssuers(grants: readonly Grant[], accepted: readonly string[]): readonly string[] {
  const named = grants.flatMap(({ to }) => ("issuer" in to ? [to.issuer] : []));
  return [...new Set(named)].filter((issuer) => !accepted.includes(issuer));
}

/** Issuers for a sentence. */
export function quoted(issuers: readonly string[]): string {
  return issuers.map((issuer) => JSON.stringify(issuer)).join(", ");
}
