import { X509Certificate } from "node:crypto";

/** Who can be at the other end of a call. A client is an internal system, which has a name of its own. */
export const SERVICES = [
  "gateway",
  "router",
  "pool-manager",
  "secrets",
  "sanitizer",
  "egress",
  "worker",
] as const;
export type ServiceIdentity = (typeof SERVICES)[number];
export type Identity = ServiceIdentity | "client";

export const CLIENT_NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const TRUST_DOMAIN = "spiffe://airlock/";

/** The URI that stands for an identity in its certificate. */
export function spiffeId(identity: ServiceIdentity | { readonly client: string }): string {
  return `${TRUST_DOMAIN}${typeof identity === "string" ? identity : `client/${identity.client}`}`;
}

/** The identity behind a SPIFFE URI; undefined for every other text. */
export function identityOfUri(uri: string): Identity | undefined {
  if (!uri.startsWith(TRUST_DOMAIN)) return undefined;
  const name = uri.slice(TRUST_DOMAIN.length);
  const client = /^client\/(.*)$/s.exec(name)?.[1];
  if (client !== undefined) return CLIENT_NAME.test(client) ? "client" : undefined;
  return SERVICES.find((service) => service === name);
}

/**
 * The identity in a certificate (DER or PEM) that has been verified already: that of its only URI. One with several
 * URIs, or with names that need quoting, which ours never do, is nobody's.
 */
export function identityOfCertificate(certificate: Buffer | string): Identity | undefined {
  const names = new X509Certificate(certificate).subjectAltName ?? "";
  if (names.includes('"')) return undefined;
  const uris = names.split(", ").filter((name) => name.startsWith("URI:"));
  return uris.length === 1 ? identityOfUri((uris[0] as string).slice("URI:".length)) : undefined;
}
