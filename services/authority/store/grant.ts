import type { KEY_ROLES, PrincipalKind } from "#common/identity/roles.ts";

/** A role that a grant may give. */
export type GrantedRole = (typeof KEY_ROLES)[number];

/**
 * Who gets a grant: the client certificate of this name, the subject of an issuer of tokens, or every subject
 * of the issuer whose tokens have a claim that equals, or is a list with, a text.
 */
export type Grantee =
  | { readonly cert: string }
  | { readonly issuer: string; readonly sub: string }
  | { readonly issuer: string; readonly claim: string; readonly equals: string };

/** A role that holders of tokens or certificates have in one tenant. */
export type Grant = {
  readonly to: Grantee;
  readonly role: GrantedRole;
  readonly kind: PrincipalKind;
  readonly tenant: string;
};

/** The kind of a grant that names none. Tokens are an agent's, because that kind is allowed the least. */
export function usualKind(to: Grantee): PrincipalKind {
  return "cert" in to ? "service" : "agent";
}
