import { readFileSync } from "node:fs";
import { Secret } from "#common/secret.ts";
import type { EnvironmentReader } from "#common/service/environment.ts";
import { systemReason } from "#common/system-reason.ts";
import { problemOfSecret } from "./secret-strength.ts";

/** Which tokens (JWTs) the authority accepts. */
export type TokenSettings = {
  /** For tokens that are signed with HS256 and a shared secret; undefined: none are accepted. */
  readonly shared?: TokenSource & { readonly secret: Secret };
  /** For tokens of an OpenID provider, whose keys the authority fetches; undefined: none are accepted. */
  readonly provider?: TokenSource;
  /** For people who log in at that provider with a browser; undefined: nobody can. */
  readonly login?: LoginSettings;
};

/** How Airlock is known to the OpenID provider; a public client has no secret. */
export type LoginSettings = {
  readonly issuer: string;
  readonly clientId: string;
  readonly secret: Secret | undefined;
};

/** The claims `iss` and `aud` that a token must have. */
export type TokenSource = { readonly issuer: string; readonly audience: string };

// The issuer is a part of the principal's id, which has at most 1,024 bytes; the subject may have 255.
const ISSUER = /^[\x21-\x22\x24-\x7e]{1,512}$/;
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;
const DEFAULT = "airlock";

/** Reads JWT_* and AIRLOCK_OIDC_*. Reported problems never contain the secret. */
export function readTokenSettings(read: EnvironmentReader): TokenSettings {
  const shared = readShared(read);
  const provider = readProvider(read);
  if (shared && provider && shared.issuer === provider.issuer)
    read.refuse(
      "JWT_ISSUER must not be AIRLOCK_OIDC_ISSUER, because a token signed with JWT_SECRET could claim to be any user of the provider",
    );
  const login = readLogin(read, provider?.issuer);
  return { ...(shared && { shared }), ...(provider && { provider }), ...(login && { login }) };
}

/** The issuers whose tokens are accepted, letter by letter. */
export function acceptedIssuers({ shared, provider }: TokenSettings): readonly string[] {
  return [shared, provider].flatMap((source) => source?.issuer ?? []);
}

function readLogin(read: EnvironmentReader, issuer: string | undefined): LoginSettings | undefined {
  const clientId = read.optionalText("AIRLOCK_OIDC_CLIENT_ID");
  const file = read.optionalText("AIRLOCK_OIDC_CLIENT_SECRET_FILE");
  const needs = (missing: string, set: string) => read.refuse(`${missing} is not set, but ${set} needs it`);
  if (clientId === undefined) {
    if (file !== undefined) needs("AIRLOCK_OIDC_CLIENT_ID", "AIRLOCK_OIDC_CLIENT_SECRET_FILE");
    return undefined;
  }
  if (issuer === undefined) {
    needs("AIRLOCK_OIDC_ISSUER", "AIRLOCK_OIDC_CLIENT_ID");
    return undefined;
  }
  if (file === undefined) return { issuer, clientId, secret: undefined };
  try {
    const value = readFileSync(file, "utf8").trim();
    if (value === "") read.refuse("AIRLOCK_OIDC_CLIENT_SECRET_FILE names an empty file");
    return { issuer, clientId, secret: new Secret("AIRLOCK_OIDC_CLIENT_SECRET_FILE", value) };
  } catch (error) {
    read.refuse(`AIRLOCK_OIDC_CLIENT_SECRET_FILE cannot be read (${systemReason(error)})`);
    return undefined;
  }
}

function readShared(read: EnvironmentReader): TokenSettings["shared"] {
  const text = read.optionalText("JWT_SECRET");
  const file = read.optionalText("JWT_SECRET_FILE");
  const issuer = read.text("JWT_ISSUER", DEFAULT);
  const audience = read.text("JWT_AUDIENCE", DEFAULT);
  refuseBadIssuer(read, "JWT_ISSUER", issuer);
  if (text === undefined && file === undefined) return undefined;
  if (text !== undefined && file !== undefined) {
    read.refuse("JWT_SECRET and JWT_SECRET_FILE are both set; set one of them");
    return undefined;
  }
  const name = file === undefined ? "JWT_SECRET" : "JWT_SECRET_FILE";
  try {
    const value = text ?? readFileSync(file ?? "", "utf8").trim();
    const problem = problemOfSecret(value);
    if (problem !== undefined) read.refuse(`${name} ${problem}`);
    return { issuer, audience, secret: new Secret(name, value) };
  } catch (error) {
    read.refuse(`${name} cannot be read (${systemReason(error)})`);
    return undefined;
  }
}

function readProvider(read: EnvironmentReader): TokenSource | undefined {
  const issuer = read.optionalText("AIRLOCK_OIDC_ISSUER");
  const audience = read.text("AIRLOCK_OIDC_AUDIENCE", DEFAULT);
  if (issuer === undefined) return undefined;
  refuseBadIssuer(read, "AIRLOCK_OIDC_ISSUER", issuer);
  const url = URL.parse(issuer);
  const isSafe = url?.protocol === "https:" || (url?.protocol === "http:" && LOOPBACK.test(url.hostname));
  if (!isSafe || url.username || url.password || url.search || url.hash)
    read.refuse(
      "AIRLOCK_OIDC_ISSUER must be an https URL without a query, such as https://login.example.com/realms/main (http only on this machine)",
    );
  return { issuer, audience };
}

function refuseBadIssuer(
  read: EnvironmentReader,
  name: "JWT_ISSUER" | "AIRLOCK_OIDC_ISSUER",
  issuer: string,
): void {
  if (!ISSUER.test(issuer))
    read.refuse(`${name} must have at most 512 printable ASCII characters, without spaces and #`);
}
