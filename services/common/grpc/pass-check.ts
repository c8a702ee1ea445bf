import type { CryptoKey } from "jose";
import { AuthorityServiceClient, type PassKey } from "#proto/authority.ts";
import { AirlockError, asAirlockError } from "../errors.ts";
import type { ServiceIdentity } from "../identity/identity.ts";
import type { Clock } from "../resilience/clock.ts";
import { ConfigError } from "../service/environment.ts";
import { callUnary } from "./client.ts";
import type { Edges } from "./edges.ts";
import type { Passed } from "./pass.ts";
import { CLOCK_SKEW_MS, notValid, passExpired } from "./pass-refused.ts";

// Milliseconds within which the authority must answer with its public keys. Short, because a call waits.
const KEYS_MS = 2_000;
// Milliseconds between two questions for the keys, so that passes with made-up key ids cannot flood the
// authority.
const ASK_EVERY_MS = 1_000;
// Milliseconds after which the keys are asked for anew although none is missing, so that old ones are forgotten.
const FRESH_MS = 10 * 60_000;
// Most passes whose check is remembered; at one more, all are forgotten, so that memory stays bounded.
const MAX_KNOWN = 10_000;

/** Checks the passes that are presented to one service. */
export type PassCheck = {
  /**
   * What the pass says, when `presenter` presents it. A pass that was checked before is answered at once, and not
   * by a promise. Throws, or rejects, with `permission_denied` when the pass is not valid, and with `unavailable`
   * when it has expired or the authority's keys cannot be had.
   */
  check(text: string, presenter: ServiceIdentity): Passed | Promise<Passed>;
};

/**
 * Checks passes for the service `audience` with the authority's public keys, which `fetchKeys` gets. Checked
 * passes and keys are remembered, so that the authority may be away.
 */
export function createPassCheck(
  audience: ServiceIdentity,
  fetchKeys: () => Promise<readonly PassKey[]>,
  clock: Clock,
): PassCheck {
  const keys = rememberKeys(fetchKeys, clock);
  const known = new Map<string, Passed>();
  const presentedBy = (passed: Passed, presenter: ServiceIdentity) => {
    if (passed.presenter !== presenter) throw notValid(`it is not for the ${presenter} to present`);
    return passed;
  };
  const read = async (text: string, presenter: ServiceIdentity) => {
    const { readPass } = await import("./pass.ts");
    const passed = await readPass(text, audience, keys.find, clock.now());
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(text, passed);
    return presentedBy(passed, presenter);
  };
  return {
    check(text, presenter) {
      const passed = known.get(text);
      if (!passed) return read(text, presenter);
      if (clock.now() < passed.expiresAtMs + CLOCK_SKEW_MS) return presentedBy(passed, presenter);
      known.delete(text);
      throw passExpired();
    },
  };
}

/**
 * The check of passes for the service `self`, which listens at `listen`. Undefined on a Unix socket, where all
 * callers are the user of this process, so that a pass would prove nothing more. Throws a ConfigError when the
 * service listens on a network and is not told where the authority is.
 */
export function openPassCheck(
  self: ServiceIdentity,
  { listen, authorityAddress }: { readonly listen: string; readonly authorityAddress?: string | undefined },
  edges: Edges,
  clock: Clock,
): PassCheck | undefined {
  if (listen.startsWith("unix:")) return undefined;
  if (authorityAddress === undefined) {
    throw new ConfigError([
      `AIRLOCK_AUTHORITY_ADDRESS must be set where the ${self} listens on a network, because it checks passes with the authority's keys.`,
    ]);
  }
  const authority = edges.connectTo(AuthorityServiceClient, authorityAddress);
  const fetchKeys = async () =>
    (await callUnary(authority, authority.listPassKeys, {}, "authority", { timeoutMs: KEYS_MS })).keys;
  return createPassCheck(self, fetchKeys, clock);
}

/** Finds public keys by their id; asks for all keys when one is unknown. */
function rememberKeys(fetchKeys: () => Promise<readonly PassKey[]>, clock: Clock) {
  let keys = new Map<string, CryptoKey>();
  let askedAtMs = Number.NEGATIVE_INFINITY;
  let asking: Promise<void> | undefined;
  const fetchAll = async () => {
    const waitMs = askedAtMs + ASK_EVERY_MS - clock.monotonicMs();
    if (waitMs > 0) await new Promise<void>((resolve) => clock.after(waitMs, resolve));
    askedAtMs = clock.monotonicMs();
    const { publicPassKey } = await import("./pass.ts");
    const entries = (await fetchKeys()).map(async ({ keyId, publicKey }) => {
      return [keyId, await publicPassKey(publicKey)] as const;
    });
    keys = new Map(await Promise.all(entries));
  };
  const refresh = () => {
    asking ??= fetchAll().finally(() => {
      asking = undefined;
    });
    return asking;
  };
  return {
    async find(id: string): Promise<CryptoKey | undefined> {
      const key = keys.get(id);
      if (key) {
        // The keys that are known still count when the authority is away.
        if (clock.monotonicMs() - askedAtMs >= FRESH_MS) refresh().catch(() => undefined);
        return key;
      }
      try {
        await refresh();
      } catch (error) {
        throw new AirlockError(
          "unavailable",
          "The service cannot check whose call this is, because the authority does not answer. Try again in a few seconds.",
          { cause: error, logDetail: asAirlockError(error).message },
        );
      }
      return keys.get(id);
    },
  };
}
