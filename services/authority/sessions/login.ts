import type { Configuration } from "openid-client";
import { AirlockError } from "#common/errors.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import type { StoredToken } from "../store/sql-sessions.ts";
import type { LoginSettings } from "../tokens/settings.ts";
import { checkedSubject } from "../tokens/tokens.ts";

// Seconds that one request to the provider may take; less than a gateway waits for the authority.
const REQUEST_S = 5;
// Milliseconds for which the provider's description is used to begin logins before it is fetched anew.
const DESCRIPTION_MS = 30_000;
// Bytes of the largest set of claims that is stored with a session.
const MAX_CLAIMS = 16 * 1024;
const SEPARATOR = ".";

/** Logs people in at an OpenID provider, by an authorization code and PKCE. Nothing of a login is stored here. */
export type Login = {
  /**
   * The URL of the provider to send the browser to, and the secrets of this login, which only that browser may
   * keep. Rejects with `route_not_found` where no login is set up, and with `issuer_unavailable`.
   */
  begin(redirectUri: string): Promise<{ readonly url: string; readonly secrets: string }>;
  /**
   * Who the person is, by the query that the provider sent the browser back with. Rejects with `login_failed`
   * unless the same browser began the login, and with `issuer_unavailable`.
   */
  finish(redirectUri: string, secrets: string, query: string): Promise<StoredToken>;
};

/** The library is loaded at the first login. */
export function createLogin(settings: LoginSettings | undefined, clock: Clock, log: Log): Login {
  let known: { readonly provider: Promise<Configuration>; readonly atMs: number } | undefined;
  const provider = async (isFresh = false): Promise<Configuration> => {
    if (!settings) throw noLogin();
    if (!known || isFresh || clock.monotonicMs() - known.atMs >= DESCRIPTION_MS)
      known = { provider: discover(settings), atMs: clock.monotonicMs() };
    try {
      return await known.provider;
    } catch (error) {
      known = undefined;
      log.warn({ issuer: settings.issuer, err: error }, "the OpenID provider of the login does not answer");
      throw unavailable(error);
    }
  };
  return {
    async begin(redirectUri) {
      const configuration = await provider();
      const client = await import("openid-client");
      const [state, nonce, verifier] = [
        client.randomState(),
        client.randomNonce(),
        client.randomPKCECodeVerifier(),
      ];
      const url = client.buildAuthorizationUrl(configuration, {
        redirect_uri: redirectUri,
        scope: "openid",
        code_challenge: await client.calculatePKCECodeChallenge(verifier),
        code_challenge_method: "S256",
        state,
        nonce,
      });
      return { url: url.href, secrets: [state, nonce, verifier].join(SEPARATOR) };
    },
    async finish(redirectUri, secrets, query) {
      // Fetched anew with its keys, because the provider may have rotated them.
      const configuration = await provider(true);
      const client = await import("openid-client");
      const [expectedState = "", expectedNonce = "", pkceCodeVerifier = ""] = secrets.split(SEPARATOR);
      const current = new URL(redirectUri);
      current.search = query;
      try {
        const answer = await client.authorizationCodeGrant(configuration, current, {
          expectedState,
          expectedNonce,
          pkceCodeVerifier,
          idTokenExpected: true,
        });
        const claims = answer.claims();
        if (!claims || claims.iss !== settings?.issuer) throw failed("its token names another issuer");
        if (JSON.stringify(claims).length > MAX_CLAIMS)
          throw failed(`its token has more than ${MAX_CLAIMS} bytes of claims`);
        return { issuer: claims.iss, sub: checkedSubject(claims.sub), claims };
      } catch (error) {
        if (error instanceof AirlockError) throw error;
        // The provider's own words may repeat what the browser sent, so they are for the log only.
        log.warn({ code: (error as { code?: unknown }).code }, "a login was refused");
        throw isAway(error)
          ? unavailable(error)
          : failed("the provider or the browser did not confirm it", error);
      }
    },
  };
}

async function discover({ issuer, clientId, secret }: LoginSettings): Promise<Configuration> {
  const client = await import("openid-client");
  const url = new URL(issuer);
  return await client.discovery(
    url,
    clientId,
    undefined,
    secret ? client.ClientSecretBasic(secret.reveal()) : client.None(),
    {
      timeout: REQUEST_S,
      // A provider over http is accepted on this machine only, which the settings have checked.
      execute: [
        client.enableNonRepudiationChecks,
        ...(url.protocol === "http:" ? [client.allowInsecureRequests] : []),
      ],
    },
  );
}

/** Whether the provider could not be reached, or took too long. */
function isAway(error: unknown): boolean {
  const { code, name, cause } = error as { code?: unknown; name?: unknown; cause?: { name?: unknown } };
  return code === "OAUTH_TIMEOUT" || name === "TypeError" || cause?.name === "TimeoutError";
}

function noLogin(): AirlockError {
  return new AirlockError(
    "route_not_found",
    "This Airlock has no OpenID login; the operator sets one up with AIRLOCK_OIDC_ISSUER and AIRLOCK_OIDC_CLIENT_ID. POST /session logs in with an API key.",
  );
}

function failed(reason: string, cause?: unknown): AirlockError {
  return new AirlockError(
    "login_failed",
    `The login was not completed, because ${reason}. Begin again at /session/login, in one browser.`,
    cause === undefined ? {} : { cause },
  );
}

function unavailable(cause: unknown): AirlockError {
  return new AirlockError(
    "issuer_unavailable",
    "Nobody can log in at the moment, because the OpenID provider does not answer. Try again in a few seconds.",
    { cause },
  );
}
