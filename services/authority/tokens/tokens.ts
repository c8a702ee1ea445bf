import type { JWTPayload, JWTVerifyGetKey, JWTVerifyOptions } from "jose";
import { AirlockError } from "#common/errors.ts";
import { SYSTEM_IDS } from "#common/identity/principal.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import type { TokenSettings, TokenSource } from "./settings.ts";

/** What a token says whose signature, issuer, audience and times are right. */
export type Token = {
  readonly issuer: string;
  readonly sub: string;
  /** All claims of the token. None of them counts as a role; grants may name them. */
  readonly claims: Readonly<Record<string, unknown>>;
  readonly expiresAtMs: number;
};

export type Tokens = {
  /** Reads a token. Rejects with `unauthenticated` when it proves nothing, and with `issuer_unavailable`. */
  read(text: string): Promise<Token>;
  close(): void;
};

const PROVIDER_ALGORITHMS = ["RS256", "ES256", "EdDSA"];
const SKEW_S = 30;
const MAX_LIFE_S = 24 * 3_600;
const NEEDED = ["exp", "iat", "iss", "aud", "sub"];
// Types of tokens that are meant to be shown as a credential: RFC 7519 and RFC 9068.
const TYPES = /^(application\/)?(at\+)?jwt$/i;
// The longest subject, as in OpenID Connect Core §2; of visible characters and spaces within.
const SUBJECT = /^[^\s\p{C}]([^\p{C}]{0,253}[^\s\p{C}])?$/u;
// An issuer that a sentence may repeat though nothing proves it.
const SHOWN_ISSUER = /^[\x21\x23-\x5b\x5d-\x7e]{1,512}$/;
const MALFORMED = "The token is malformed. Get a new one from its issuer.";

type Source = TokenSource & { readonly algorithms: string[]; readonly key: Uint8Array | JWTVerifyGetKey };

/** Opens the authority's reading of tokens. The library is loaded only where tokens are accepted. */
export async function openTokens(settings: TokenSettings, clock: Clock, log: Log): Promise<Tokens> {
  const { shared, provider } = settings;
  if (!shared && !provider) {
    return {
      read: () =>
        Promise.reject(
          refused("This Airlock accepts API keys (alk_...) and no tokens. Ask the operator for a key."),
        ),
      close: () => undefined,
    };
  }
  const jose = await import("jose");
  const { followIssuerKeys } = await import("./issuer-keys.ts");
  const keys = provider && followIssuerKeys(provider.issuer, clock, log);
  const sources: Source[] = [];
  if (shared) sources.push({ ...shared, algorithms: ["HS256"], key: Buffer.from(shared.secret.reveal()) });
  if (provider && keys) sources.push({ ...provider, algorithms: PROVIDER_ALGORITHMS, key: keys.keyFor });
  const accepted = sources.flatMap(({ algorithms }) => algorithms).join(", ");

  const headerOf = (text: string) => {
    try {
      return jose.decodeProtectedHeader(text);
    } catch {
      throw refused("The credential is neither an API key of Airlock (alk_...) nor a token (JWT).");
    }
  };
  const issuerIn = (text: string): unknown => {
    try {
      return jose.decodeJwt(text).iss;
    } catch {
      throw refused(MALFORMED);
    }
  };
  return {
    async read(text) {
      const { alg = "", typ } = headerOf(text);
      // The algorithm decides about the key, and each key has its own algorithms, so that a public key of the
      // provider never verifies an HS256 token.
      const source = sources.find(({ algorithms }) => algorithms.includes(alg));
      if (!source)
        throw refused(`The token is not signed with an algorithm that this Airlock accepts: ${accepted}.`);
      if (typ !== undefined && !TYPES.test(typ))
        throw refused('The type of the token is neither "JWT" nor "at+jwt". Send an access token.');
      // Before the key is looked for, because the provider is asked for unknown keys and knows its own only.
      const claimed = issuerIn(text);
      if (claimed === undefined) throw refused(missing("iss"));
      if (claimed !== source.issuer) throw refused(otherIssuer(claimed, source));
      const now = clock.now();
      const options: JWTVerifyOptions = {
        algorithms: source.algorithms,
        issuer: source.issuer,
        audience: source.audience,
        requiredClaims: NEEDED,
        clockTolerance: SKEW_S,
        currentDate: new Date(now),
      };
      try {
        const { payload } =
          typeof source.key === "function"
            ? await jose.jwtVerify(text, source.key, options)
            : await jose.jwtVerify(text, source.key, options);
        return tokenOf(payload, source, now);
      } catch (error) {
        if (error instanceof AirlockError) throw error;
        if (error instanceof jose.errors.JOSEError) throw refused(sentence(error, source), error);
        throw refused("The token cannot be read. Get a new one from its issuer.", error);
      }
    },
    close: () => keys?.close(),
  };
}

/** Checks what the library does not: a token from the future, a long life, and the subject. */
function tokenOf(claims: JWTPayload, { issuer }: Source, nowMs: number): Token {
  const { iat = 0, exp = 0, sub } = claims;
  if (!isMoment(iat) || !isMoment(exp))
    throw refused('The claims "iat" and "exp" of the token must be seconds.');
  if (iat > nowMs / 1_000 + SKEW_S)
    throw refused('The token was issued in the future ("iat"). Check the clock of its issuer.');
  if (exp - iat > MAX_LIFE_S)
    throw refused("The token lives longer than 24 hours. Let its issuer make tokens that end sooner.");
  if (exp <= iat) throw refused('The token ends before it was issued ("exp", "iat").');
  return { issuer, sub: checkedSubject(sub), claims, expiresAtMs: exp * 1_000 };
}

/** The subject of a token. Throws `unauthenticated` for one that no principal may have. */
export function checkedSubject(sub: unknown): string {
  if (typeof sub !== "string" || !SUBJECT.test(sub) || !sub.isWellFormed())
    throw refused('The claim "sub" of the token must be a text of 1 to 255 visible characters.');
  if (sub.startsWith(SYSTEM_IDS))
    throw refused(
      `The claim "sub" of the token must not begin with ${SYSTEM_IDS}, because Airlock itself acts by that name.`,
    );
  return sub;
}

function isMoment(seconds: number): boolean {
  return Number.isFinite(seconds) && seconds >= 0 && seconds < 1e11;
}

/** The sentence for what the library found. Never repeats a piece of the token. The issuer was checked before. */
function sentence(error: Error & { code?: string }, { audience }: Source): string {
  const claim = NEEDED.find((each) => each === (error as { claim?: unknown }).claim) ?? "nbf";
  const isMissing = (error as { reason?: unknown }).reason === "missing";
  switch (error.code) {
    case "ERR_JWT_EXPIRED":
      return "The token has expired. Get a new one from its issuer.";
    case "ERR_JWT_CLAIM_VALIDATION_FAILED":
      if (isMissing) return missing(claim);
      if (claim === "aud")
        return `The token is for another audience. Ask its issuer for one for "${audience}" ("aud").`;
      if (claim === "nbf") return 'The token is not valid yet ("nbf"). Try again later.';
      return `The claim "${claim}" of the token is not valid. Get a new token from its issuer.`;
    case "ERR_JWS_SIGNATURE_VERIFICATION_FAILED":
      return "The signature of the token is wrong. Get a new token from its issuer, and send it unchanged.";
    case "ERR_JWKS_NO_MATCHING_KEY":
      return "The token is signed with a key that its issuer does not publish. Get a new token from it.";
    case "ERR_JWKS_MULTIPLE_MATCHING_KEYS":
      return 'The token does not say which of its issuer\'s keys signed it ("kid" in its header).';
    default:
      return MALFORMED;
  }
}

function missing(claim: string): string {
  return `The token lacks the claim "${claim}"; it needs ${NEEDED.join(", ")}.`;
}

/** The client is told the issuer that its token has, because most often a slash at the end is the difference. */
function otherIssuer(claimed: unknown, { issuer, algorithms }: Source): string {
  const its = typeof claimed === "string" && SHOWN_ISSUER.test(claimed) ? `: its "iss" is "${claimed}"` : "";
  return `The token is from another issuer than "${issuer}"${its}. Send one of "${issuer}", the only issuer from which this Airlock accepts tokens signed with ${algorithms.join(", ")}.`;
}

function refused(message: string, cause?: unknown): AirlockError {
  return new AirlockError("unauthenticated", message, cause === undefined ? {} : { cause });
}
