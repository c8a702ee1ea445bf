import { AirlockError, asAirlockError, type ErrorCode } from "../errors.ts";
import type { Clock } from "../resilience/clock.ts";
import { followChanges, type WatchChanges } from "./follow-changes.ts";

// Milliseconds after which the authority is asked again, although no key, no grant and no principal has
// changed: a key also ends when the key of its maker expires, which changes nothing.
const FRESH_MS = 1_000;
// Milliseconds for which an answer still counts while the authority cannot be reached.
const KEPT_WHILE_AWAY_MS = 5 * 60_000;
// Milliseconds after which an authority that did not answer is asked again about what is known.
const ASK_AGAIN_MS = 1_000;
// Most answers that are kept; at one more, all are forgotten, so that memory stays bounded.
const MAX_KNOWN = 10_000;

/** What the authority says about a client, and how long that holds. */
export type Answer = {
  /** The authority's version of changes for which this holds. */
  readonly version: number;
  /** Epoch milliseconds at which it ends; undefined: never. */
  readonly expiresAtMs?: number | undefined;
};

export type KeptAnswers<A extends Answer> = {
  /**
   * The answer for `id`: the kept one, at once, while it is current, else that of `ask`. While the authority is
   * away, answers of the last five minutes count, unless something has changed since. Rejects as `ask` does when
   * the authority refuses, and with `unavailable` when it cannot be reached.
   */
  get(id: string, ask: () => Promise<A>): A | Promise<A>;
  /** Stops following the authority's changes. */
  close(): void;
};

type Known<A> = { readonly answer: A; readonly askedAtMs: number };

/** Keeps the authority's answers for a second each, unless something changes before. */
export function keepAnswers<A extends Answer>(watchChanges: WatchChanges, clock: Clock): KeptAnswers<A> {
  const changes = followChanges(watchChanges, clock);
  const known = new Map<string, Known<A>>();
  const asking = new Map<string, Promise<A>>();
  // Whether the authority did not answer when it was last asked.
  let isAway = false;
  let askAgainAtMs = 0;

  const askOnce = (id: string, ask: () => Promise<A>): Promise<A> => {
    const underway = asking.get(id);
    if (underway) return underway;
    const asked = ask()
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

  const askOrSpare = async (id: string, ask: () => Promise<A>, spare: A | undefined): Promise<A> => {
    try {
      return await askOnce(id, ask);
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
  };

  /** Whether the authority answered lately, and nothing has changed since. */
  const isCurrent = ({ answer, askedAtMs }: Known<A>) => {
    if (clock.monotonicMs() - askedAtMs >= FRESH_MS) return false;
    const version = changes.version();
    return version !== undefined && answer.version >= version;
  };
  /** Whether the answer counts while the authority is away. One from before a change would undo a revocation. */
  const isSpare = ({ answer, askedAtMs }: Known<A>) =>
    clock.monotonicMs() - askedAtMs < KEPT_WHILE_AWAY_MS && answer.version >= changes.lastVersion();

  return {
    get(id, ask) {
      const kept = known.get(id);
      const valid = kept && isInForce(kept.answer, clock) ? kept : undefined;
      if (valid && isCurrent(valid)) return valid.answer;
      const spare = valid && isSpare(valid) ? valid.answer : undefined;
      if (!spare || !isAway) return askOrSpare(id, ask, spare);
      // Asked in the background, so that no request waits for an authority that hangs.
      if (clock.monotonicMs() >= askAgainAtMs) void askOnce(id, ask).catch(() => undefined);
      return spare;
    },
    close: () => changes.close(),
  };
}

function isInForce({ expiresAtMs }: Answer, clock: Clock): boolean {
  return expiresAtMs === undefined || clock.now() < expiresAtMs;
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
