import { randomUUID } from "node:crypto";
import type { PassKeyPair, PassUse } from "#common/grpc/pass.ts";
import { principalToBytes } from "#common/grpc/principal.ts";
import type { Principal } from "#common/identity/principal.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import type { PassKey } from "#proto/authority.ts";
import type { PassKeyStore } from "../store/pass-key-store.ts";

const HOUR_MS = 3_600_000;
// Milliseconds after which an authority signs with a new key.
const ROTATE_AFTER_MS = 24 * HOUR_MS;
// Milliseconds after which a public key is forgotten: when its last passes have long ended, on every clock.
const FORGET_AFTER_MS = ROTATE_AFTER_MS + 2 * HOUR_MS;
// Milliseconds for which the same pass is given again, so that services do not check a new one each second.
// Short, because a pass must still be valid after the gateway has kept it for five minutes; services take one
// that expired less than CLOCK_SKEW_MS ago.
const AGAIN_MS = 10_000;
// Most passes that are kept to be given again; at one more, all are forgotten, so that memory stays bounded.
const MAX_KEPT = 10_000;

export type Passes = {
  /** A pass for this principal and use. */
  issue(principal: Principal, use: PassUse): Promise<string>;
  /** The public keys of all authorities that share the store. */
  keys(): Promise<PassKey[]>;
};

/**
 * Signs passes with a key of this process, which a new one replaces each day. The key's private half is in memory
 * only, so that there is no file and no row that could be stolen; its public half is stored before the first pass
 * is signed, so that every authority can tell it to services.
 */
export function createPasses(store: PassKeyStore, clock: Clock, log: Log): Passes {
  let current: { readonly key: Promise<PassKeyPair>; readonly madeAtMs: number } | undefined;
  const kept = new Map<string, { readonly text: Promise<string>; readonly issuedAtMs: number }>();

  const makeKey = async (madeAtMs: number): Promise<PassKeyPair> => {
    const { exportJWK, generateKeyPair } = await import("jose");
    const { privateKey, publicKey } = await generateKeyPair("EdDSA", { crv: "Ed25519" });
    const { x = "" } = await exportJWK(publicKey);
    const keyId = randomUUID();
    const stored = { keyId, publicKey: Buffer.from(x, "base64url"), madeAtMs };
    await store.addPassKey(stored, madeAtMs - FORGET_AFTER_MS);
    log.info({ key_id: keyId }, "passes are signed with a new key");
    return { id: keyId, privateKey };
  };

  const signingKey = (): Promise<PassKeyPair> => {
    const now = clock.now();
    if (current && now >= current.madeAtMs && now - current.madeAtMs < ROTATE_AFTER_MS) return current.key;
    const made = { key: makeKey(now), madeAtMs: now };
    current = made;
    made.key.catch(() => {
      if (current === made) current = undefined;
    });
    return made.key;
  };

  const sign = async (principal: Principal, use: PassUse) => {
    const key = await signingKey();
    const { signPass } = await import("#common/grpc/pass.ts");
    return await signPass(principal, use, key, clock.now());
  };

  return {
    async issue(principal, use) {
      const id = `${use.presenter} ${use.audience} ${principalToBytes(principal).toString("base64")}`;
      const last = kept.get(id);
      if (last && clock.monotonicMs() - last.issuedAtMs < AGAIN_MS) return await last.text;
      const text = sign(principal, use);
      if (kept.size >= MAX_KEPT) kept.clear();
      kept.set(id, { text, issuedAtMs: clock.monotonicMs() });
      text.catch(() => kept.delete(id));
      return await text;
    },
    keys: async () =>
      (await store.listPassKeys()).map(({ keyId, publicKey }) => ({
        keyId,
        publicKey: Buffer.from(publicKey),
      })),
  };
}
