import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";
import { AirlockError } from "#common/errors.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import { fetchJson } from "./fetch-json.ts";

// Milliseconds after which the keys are fetched anew though no token asks, so that a key that the issuer has
// withdrawn is forgotten.
const REFRESH_MS = 5 * 60_000;
// Milliseconds after which the keys are fetched again while the issuer is away.
const RETRY_MS = 15_000;
// Least milliseconds between two fetches that tokens with an unknown key cause, because anybody can make such
// tokens.
const COOLDOWN_MS = 2_000;
// Milliseconds that one fetch may take.
const FETCH_MS = 5_000;
// Milliseconds that one token waits for a fetch. Less than a gateway waits for the authority.
const WAIT_MS = 1_500;
const MAX_KEYS = 100;
const MAX_NAME = 512;

/** An issuer is away, or it answers, but not so that its keys may be used, which no new attempt mends. */
type Trouble = "away" | "unusable";

/** An issuer whose answer does not fit how it is set up here. */
class UnusableIssuer extends Error {}

export type IssuerKeys = {
  /** The key that signed a token, for `jwtVerify`. Rejects with `issuer_unavailable` when it cannot be known. */
  readonly keyFor: JWTVerifyGetKey;
  close(): void;
};

/**
 * Keeps the keys of an OpenID provider, by discovery. Keys that were fetched stay in use while the issuer is
 * away. A token with an unknown key has them fetched anew, because the issuer may have rotated them; other
 * tokens never wait for the issuer.
 */
export function followIssuerKeys(issuer: string, clock: Clock, log: Log): IssuerKeys {
  const stop = new AbortController();
  let keys: ReturnType<typeof createLocalJWKSet> | undefined;
  let fetching: Promise<void> | undefined;
  let fetchedAtMs = Number.NEGATIVE_INFINITY;
  let trouble: Trouble | undefined;
  let stopTimer: () => void = () => undefined;

  const fetchKeys = (): Promise<void> => {
    fetching ??= (async () => {
      stopTimer();
      try {
        const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(FETCH_MS)]);
        keys = createLocalJWKSet(await discoverKeys(issuer, signal));
        if (trouble) log.info({ issuer }, "the issuer of tokens answers again");
        trouble = undefined;
      } catch (error) {
        if (stop.signal.aborted) return;
        const found: Trouble = error instanceof UnusableIssuer ? "unusable" : "away";
        if (found !== trouble)
          log.warn({ issuer, err: error }, "the keys of the issuer of tokens cannot be fetched");
        trouble = found;
      } finally {
        fetching = undefined;
        fetchedAtMs = clock.monotonicMs();
        if (!stop.signal.aborted)
          stopTimer = clock.after(trouble ? RETRY_MS : REFRESH_MS, () => void fetchKeys());
      }
    })();
    return fetching;
  };
  const mayFetch = () => fetching !== undefined || clock.monotonicMs() - fetchedAtMs >= COOLDOWN_MS;
  void fetchKeys();

  return {
    async keyFor(header, token) {
      if (!keys && mayFetch()) await waitFor(fetchKeys(), clock);
      if (!keys) throw unavailable(trouble);
      try {
        return await keys(header, token);
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      }
      if (mayFetch()) await waitFor(fetchKeys(), clock);
      try {
        return await keys(header, token);
      } catch (error) {
        // While the issuer is away, nothing says whether the key is a new one or none.
        throw error instanceof errors.JWKSNoMatchingKey && trouble ? unavailable(trouble) : error;
      }
    },
    close() {
      stop.abort();
      stopTimer();
    },
  };
}

async function discoverKeys(issuer: string, signal: AbortSignal): Promise<JSONWebKeySet> {
  const found = await fetchJson(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`, signal);
  // Another name would mean that tokens of a stranger count (OpenID Connect Discovery §4.3).
  if (found.issuer !== issuer)
    throw new UnusableIssuer(
      `the issuer calls itself ${nameOf(found.issuer)}, and AIRLOCK_OIDC_ISSUER is "${issuer}"`,
    );
  const url = URL.parse(String(found.jwks_uri));
  if (url?.protocol !== "https:" && url?.protocol !== new URL(issuer).protocol)
    throw new UnusableIssuer("the issuer's jwks_uri is no https URL");
  const set = await fetchJson(url.href, signal);
  if (!Array.isArray(set.keys) || set.keys.length > MAX_KEYS)
    throw new UnusableIssuer(`the issuer's set of keys has no list of at most ${MAX_KEYS} keys`);
  return set as unknown as JSONWebKeySet;
}

/** Resolves with `work`, which does not reject, or rejects after WAIT_MS. */
async function waitFor(work: Promise<void>, clock: Clock): Promise<void> {
  const tooLate = Promise.withResolvers<never>();
  const stopTimer = clock.after(WAIT_MS, () => tooLate.reject(unavailable()));
  try {
    await Promise.race([work, tooLate.promise]);
  } finally {
    stopTimer();
  }
}

/** The name that an issuer gives itself, for the log: as long as a right one at most. */
function nameOf(issuer: unknown): string {
  return typeof issuer === "string" && issuer.length <= MAX_NAME
    ? JSON.stringify(issuer)
    : "by no usable name";
}

function unavailable(trouble?: Trouble): AirlockError {
  if (trouble === "unusable")
    return new AirlockError(
      "issuer_unavailable",
      "Airlock cannot check the token, because the OpenID provider that issued it cannot be used as it is set up; the operator finds the reason in the log of the authority.",
    );
  return new AirlockError(
    "issuer_unavailable",
    "Airlock cannot check the token, because the OpenID provider that issued it does not answer. Try again in a few seconds.",
  );
}
