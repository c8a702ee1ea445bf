import { X509Certificate } from "node:crypto";

/** The names of Airlock's processes, each of which has a certificate. */
export const SERVICES = [
  "gateway",
  "router",
  "pool-manager",
  "secrets",
  "sanitizer",
  "egress",
  "authority",
  "worker",
] as const;
export type ServiceIdentity = (typeof SERVICES)[number];

/**
 * The identity that a certificate proves: one of Airlock's services, or a program of the operator (`client`)
 * with a name of its own.
 */
export type Identity =
  | { readonly kind: "service"; readonly name: ServiceIdentity }
  | { readonly kind: "client"; readonly name: string };

/**
 * The maker of a gRPC call. `local` is the user of this deployment, who calls on a Unix socket: the socket's
 * mode is 0600, so that the kernel refuses every other user.
 */
export type Caller = Identity | { readonly kind: "local" };

export const CLIENT_NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const TRUST_DOMAIN = "spiffe://airlock/";

/** The SPIFFE URI that stands for an identity in its certificate. */
export function spiffeId({ kind, name }: Identity): string {
  return kind === "client" ? `${TRUST_DOMAIN}client/${name}` : `${TRUST_DOMAIN}${name}`;
}

/** The identity behind a SPIFFE URI; undefined for every other text. */
export function identityOfUri(uri: string): Identity | undefined {
  if (!uri.startsWith(TRUST_DOMAIN)) return undefined;
  const name = uri.slice(TRUST_DOMAIN.length);
  const client = /^client\/(.*)$/s.exec(name)?.[1];
  if (client !== undefined) return CLIENT_NAME.test(client) ? { kind: "client", name: client } : undefined;
  const service = SERVICES.find((each) => each === name);
  return service && { kind: "service", name: service };
}

/**
 * The identity in the only URI of a certificate (DER or PEM), which the caller of this function has verified
 * already. Undefined for a certificate with several URIs, or with names that need quoting, because Airlock
 * never makes such certificates.
 */
export function identityOfCertificate(certificate: Buffer | string): Identity | undefined {
  const names = new X509Certificate(certificate).subjectAltName ?? "";
  if (names.includes('"')) return undefined;
  const uris = names.split(", ").filter((name) => name.startsWith("URI:"));
  return uris.length === 1 ? identityOfUri((uris[0] as string).slice("URI:".length)) : undefined;
}

/** Whether both are the same service or the same client. */
export function isSameIdentity(one: Identity | undefined, other: Identity): boolean {
  return one?.kind === other.kind && one.name === other.name;
}
