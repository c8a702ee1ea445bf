import type { ServerUnaryCall } from "@grpc/grpc-js";
import { type Caller, type Identity, identityOfCertificate } from "../identity/identity.ts";

type AuthContext = ReturnType<ServerUnaryCall<unknown, unknown>["getAuthContext"]>;

const LOCAL: Caller = { kind: "local" };

// The most identities that are kept; at one more, all are forgotten, so that memory stays bounded.
const MAX_KNOWN = 256;
// The identities that were read from certificates, by the certificate's SHA-512 fingerprint; undefined for a
// certificate that names no identity. They are kept because reading a certificate takes 25 µs and would be
// done twice for each call, while a deployment has only a handful of certificates.
const known = new Map<string, Identity | undefined>();

/**
 * The caller of a gRPC call, read from its TLS certificate. Undefined when the certificate names no identity.
 * A call without a certificate came over a Unix socket, because servers on a network demand a certificate and
 * `authorizeCalls` refuses every network call without one.
 */
export function callerOf({ sslPeerCertificate }: AuthContext): Caller | undefined {
  if (!sslPeerCertificate) return LOCAL;
  const { raw, fingerprint512 } = sslPeerCertificate;
  if (!known.has(fingerprint512)) {
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(fingerprint512, identityOfCertificate(raw));
  }
  return known.get(fingerprint512);
}
