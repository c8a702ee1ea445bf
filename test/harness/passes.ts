import { join } from "node:path";
import { exportJWK, generateKeyPair } from "jose";
import { pino } from "pino";
import { openDatabase } from "#common/database/open.ts";
import { type PassKeyPair, signPass } from "#common/grpc/pass.ts";
import { createPassCheck, type PassCheck } from "#common/grpc/pass-check.ts";
import type { ServiceIdentity } from "#common/identity/identity.ts";
import type { Principal } from "#common/identity/principal.ts";
import { createCircuits } from "#common/resilience/circuits.ts";
import { systemClock } from "#common/resilience/clock.ts";
import { createPassKeyStore } from "../../services/authority/store/pass-key-store.ts";
import { AUTHORITY_TABLES } from "../../services/authority/store/tables.ts";

const log = pino({ level: "silent" });

/** A key of passes whose public half is in an authority's store, as another authority of the store has one. */
export type TestAuthority = {
  /**
   * A pass for any principal at `audience`, for `presenter` to present, signed at the moment `now`; by default one
   * of the gateway that is signed now.
   */
  passFor(
    principal: Principal,
    audience: ServiceIdentity,
    presenter?: ServiceIdentity,
    now?: number,
  ): Promise<string>;
  /** The check of passes of a service that asks this authority for its keys. */
  checkFor(audience: ServiceIdentity): PassCheck;
  close(): Promise<void>;
};

/** Makes a key that can sign passes. */
export async function makePassKey(): Promise<PassKeyPair & { readonly publicKey: Buffer }> {
  const { privateKey, publicKey } = await generateKeyPair("EdDSA", { crv: "Ed25519" });
  const { x = "", kid = crypto.randomUUID() } = await exportJWK(publicKey);
  return { id: kid, privateKey, publicKey: Buffer.from(x, "base64url") };
}

/**
 * Adds a key of passes to the SQLite file authority.db in `directory`. Passes that it signs are good for every
 * service whose authority is started over the file later, after `close`.
 */
export async function openTestAuthority(directory: string): Promise<TestAuthority> {
  const config = { kind: "sqlite", path: join(directory, "authority.db") } as const;
  const circuits = createCircuits("airlock_authority", systemClock, log);
  const db = await openDatabase(config, AUTHORITY_TABLES, circuits, systemClock, log);
  const store = createPassKeyStore(db);
  const { publicKey, ...key } = await makePassKey();
  await store.addPassKey({ keyId: key.id, publicKey, madeAtMs: Date.now() }, 0);
  const keys = async () =>
    (await store.listPassKeys()).map((each) => ({ ...each, publicKey: Buffer.from(each.publicKey) }));
  return {
    passFor: (principal, audience, presenter = "gateway", now = Date.now()) =>
      signPass(principal, { audience, presenter }, key, now),
    checkFor: (audience) => createPassCheck(audience, keys, systemClock),
    close: () => db.close(),
  };
}
