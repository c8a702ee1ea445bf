import { type CryptoKey, errors, importJWK, jwtVerify, SignJWT } from "jose";
import { AirlockError } from "../errors.ts";
import { SERVICES, type ServiceIdentity } from "../identity/identity.ts";
import type { Principal } from "../identity/principal.ts";
import { CLOCK_SKEW_MS, notValid, passExpired } from "./pass-refused.ts";
import { principalFromBytes, principalToBytes } from "./principal.ts";

// This module is imported when the first pass is signed or checked, because jose takes 20 ms to load, and a
// deployment in one process has no passes.

/** Milliseconds for which a pass is valid. */
export const PASS_LIFE_MS = 5 * 60_000;

const ALGORITHM = "EdDSA";
// A type of its own, so that no other token that the authority may ever sign is taken for a pass.
const TYPE = "airlock-pass+jwt";
const ISSUER = "airlock-authority";

/** The one service at which a pass counts, and the one service that may present it there. */
export type PassUse = { readonly audience: ServiceIdentity; readonly presenter: ServiceIdentity };

/** What a valid pass says. */
export type Passed = {
  readonly principal: Principal;
  readonly presenter: ServiceIdentity;
  /** Epoch milliseconds at which the pass ends. */
  readonly expiresAtMs: number;
};

/** A key that signs passes; `id` names its public half. */
export type PassKeyPair = { readonly id: string; readonly privateKey: CryptoKey };

/** Signs a pass for `principal`, which ends PASS_LIFE_MS after `now` (epoch milliseconds). Never log it. */
export async function signPass(
  principal: Principal,
  { audience, presenter }: PassUse,
  key: PassKeyPair,
  now: number,
): Promise<string> {
  const issuedAt = Math.floor(now / 1_000);
  return await new SignJWT({ presenter, principal: principalToBytes(principal).toString("base64url") })
    .setProtectedHeader({ alg: ALGORITHM, typ: TYPE, kid: key.id })
    .setIssuer(ISSUER)
    .setAudience(audience)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + PASS_LIFE_MS / 1_000)
    .sign(key.privateKey);
}

/**
 * Reads a pass that was presented to the service `audience` at the moment `now`. `keyOf` finds the public key
 * with an id. Rejects with `permission_denied` when the pass is not valid, and with `unavailable` when it has
 * expired, because its bearer then gets a new one and tries again.
 */
export async function readPass(
  text: string,
  audience: ServiceIdentity,
  keyOf: (id: string) => Promise<CryptoKey | undefined>,
  now: number,
): Promise<Passed> {
  const { payload } = await jwtVerify(
    text,
    async ({ kid }) => {
      const key = kid === undefined ? undefined : await keyOf(kid);
      if (!key) throw notValid("it was signed with a key that the authority does not have");
      return key;
    },
    {
      algorithms: [ALGORITHM],
      typ: TYPE,
      issuer: ISSUER,
      audience,
      requiredClaims: ["exp", "iat", "presenter", "principal"],
      // Refuses a pass with a longer life, and one from the future.
      maxTokenAge: PASS_LIFE_MS / 1_000,
      clockTolerance: CLOCK_SKEW_MS / 1_000,
      currentDate: new Date(now),
    },
  ).catch((error: unknown) => {
    throw asRefusal(error);
  });
  const presenter = SERVICES.find((each) => each === payload.presenter);
  const principal =
    typeof payload.principal === "string"
      ? principalFromBytes(Buffer.from(payload.principal, "base64url"))
      : undefined;
  if (!presenter || !principal) throw notValid("it names no principal or no presenter");
  return { principal, presenter, expiresAtMs: (payload.exp as number) * 1_000 };
}

/** The public key with these 32 bytes. */
export async function publicPassKey(bytes: Uint8Array): Promise<CryptoKey> {
  const x = Buffer.from(bytes).toString("base64url");
  return (await importJWK({ kty: "OKP", crv: "Ed25519", x }, ALGORITHM)) as CryptoKey;
}

function asRefusal(error: unknown): AirlockError {
  if (error instanceof AirlockError) return error;
  if (error instanceof errors.JWTExpired) return passExpired();
  // What jose says of a claim names the claim and never its value.
  if (error instanceof errors.JWTClaimValidationFailed)
    return notValid(`its claim ${error.claim} is refused, or the clocks of the services differ`);
  return notValid("it is no token that the authority signed");
}
