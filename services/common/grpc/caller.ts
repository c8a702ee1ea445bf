import type { ServerUnaryCall } from "@grpc/grpc-js";
import { type Caller, type Identity, identityOfCertificate } from "../identity/identity.ts";

type AuthContext = ReturnType<ServerUnaryCall<unknown, unknown>["getAuthContext"]>;

const LOCAL: Caller = { kind: "local" };

// A certificate takes 25 µs to read, twice for each call; a deployment has a handful.
const MAX_KNOWN = 256;
const known = new Map<string, Identity | undefined>();

/**
 * Who made the call. Undefined for a certificate that stands for no identity. Without any certificate the call came over
 * a Unix socket: servers on a network demand a certificate, and `authorizeCalls` refuses every call there without one.
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
