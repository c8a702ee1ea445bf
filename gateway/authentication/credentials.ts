import { createHash } from "node:crypto";
import { AirlockError, asAirlockError, type ErrorCode } from "#common/errors.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Authenticated, AuthorityBackend } from "../backends/authority.ts";
import { type Freshness, followChanges } from "./freshness.ts";

// Milliseconds after which the authority is asked again about a credential, although no key and no principal has
// changed: a key also ends when the key of its maker expires, which changes nothing.
const FRESH_MS = 1_000;
// Milliseconds for which the answer about a credential still counts while the authority cannot be reached.
const KEPT_WHILE_AWAY_MS = 5 * 60_000;
// Milliseconds after which an authority that did not answer is asked again about a credential that is known.
const ASK_AGAIN_MS = 1_000;
// Most credentials whose answer is kept; at one more, all are forgotten, so that memory stays bounded.
const MAX_KNOWN = 10_000;
// Bytes of the longest credential; a JWT of an OpenID provider has one or two thousand.
const MAX_CREDENTIAL = 8_192;

type Known = { readonly answer: Authenticated; readonly askedAtMs: number };

export type Credentials = {
  /**
   * Says who shows the credential, in `tenant`, or in the only tenant that it may act in. Rejects with
   * `unauthenticated` when it proves nothing, with `no_grant` and `tenant_required`, with `issuer_unavailable`,
   * and with `unavailable` when the authority cannot be reached and has not answered for this credential lately.
   */
  whose(credential: string, tenant?: string): Promise<Authenticated>;
  /** Stops following the authority's changes. */
  close(): void;
};

/**
 * Asks the authority about each credential, and keeps the answer for a second, unless a key or a principal
 * changes before. While the authority is away, answers of the last five minutes still count, and credentials
 * without one are refused.
 */
export function createCredentials(authority: AuthorityBackend, clock: Clock): Credentials {
  const changes = followChanges(authority, clock);
  // By the credential's hash, so that a heap dump shows no credential for long.
  const known = new Map<string, Known>();
  const asking = new Map<string, Promise<Authenticated>>();
  // Whether the authority did not answer when it was last asked.
  let isAway = false;
  let askAgainAtMs = 0;

  const ask = (id: string, credential: string, tenant: string | undefined): Promise<Authenticated> => {
    const underway = asking.get(id);
    if (underway) return underway;
    const asked = authority
      .authenticate(credential, tenant)
      .then((answer) => {
        isAway = false;
        if (known.size >= MAX_KNOWN) known.clear();
        known.set(id, { answer, askedAtMs: clock.monotonicMs() });
        return answer;
      })
      .catch((error: unknown) => {
        if (isRefusal(error)) known.delete(id);
        // An authority that cannot reach an issuer answers by itself.
        isAway = !isRefusal(error) && !isIssuerAway(error);
        if (isAway) askAgainAtMs = clock.monotonicMs() + ASK_AGAIN_MS;
        throw error;
      })
      .finally(() => asking.delete(id));
    asking.set(id, asked);
    return asked;
  };

  return {
    async whose(credential, tenant) {
      if (credential.length > MAX_CREDENTIAL) throw tooLong();
      const id = createHash("sha256")
        .update(`${credential}\n${tenant ?? ""}`)
        .digest("base64");
      const kept = known.get(id);
      if (kept && isInForce(kept.answer, clock) && isCurrent(kept, changes, clock)) return kept.answer;
      const spare =
        kept && isInForce(kept.answer, clock) && clock.monotonicMs() - kept.askedAtMs < KEPT_WHILE_AWAY_MS
          ? kept.answer
          : undefined;
      if (spare && isAway) {
        // Asked in the background, so that no request waits for an authority that hangs.
        if (clock.monotonicMs() >= askAgainAtMs) void ask(id, credential, tenant).catch(() => undefined);
        return spare;
      }
      try {
        return await ask(id, credential, tenant);
      } catch (error) {
        if (isRefusal(error)) throw error;
        if (spare) return spare;
        if (isIssuerAway(error)) throw error;
        throw new AirlockError(
          "unavailable",
          "Airlock cannot check credentials, because its authority does not answer. Try again in a few seconds.",
          { cause: error, logDetail: asAirlockError(error).message },
        );
      }
    },
    close: () => changes.close(),
  };
}

function isInForce({ expiresAtMs }: Authenticated, clock: Clock): boolean {
  return expiresAtMs === undefined || clock.now() < expiresAtMs;
}

/** Whether the authority answered lately, and nothing has changed since. */
function isCurrent({ answer, askedAtMs }: Known, changes: Freshness, clock: Clock): boolean {
  if (clock.monotonicMs() - askedAtMs >= FRESH_MS) return false;
  const version = changes.version();
  return version !== undefined && answer.version >= version;
}

const REFUSALS: ReadonlySet<ErrorCode> = new Set([
  "unauthenticated",
  "no_grant",
  "tenant_required",
  "invalid_request",
]);

/** Whether the authority itself refused, and did not just fail to answer. */
function isRefusal(error: unknown): boolean {
  return REFUSALS.has(asAirlockError(error).code);
}

function isIssuerAway(error: unknown): boolean {
  return asAirlockError(error).code === "issuer_unavailable";
}

function tooLong(): AirlockError {
  return new AirlockError(
    "unauthenticated",
    `The credential is longer than ${MAX_CREDENTIAL} characters. Send an API key of Airlock (alk_...) or a shorter token.`,
  );
}
