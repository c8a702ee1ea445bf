import type { Database, Statement } from "#common/database/database.ts";

/** The public half of a key that signs passes. The private half never leaves the process that made it. */
export type StoredPassKey = {
  readonly keyId: string;
  /** The 32 bytes of an Ed25519 key. */
  readonly publicKey: Uint8Array;
  /** Epoch milliseconds. */
  readonly madeAtMs: number;
};

export type PassKeyStore = {
  /** Adds a key, and forgets those that were made before `forgetBeforeMs`. */
  addPassKey(key: StoredPassKey, forgetBeforeMs: number): Promise<void>;
  listPassKeys(): Promise<StoredPassKey[]>;
};

const ADD: Statement = {
  name: "add-pass-key",
  text: "INSERT INTO pass_keys (key_id, public_key, made_at_ms) VALUES ($1, $2, $3)",
};
const FORGET: Statement = {
  name: "forget-pass-keys",
  text: "DELETE FROM pass_keys WHERE made_at_ms < $1",
};
const LIST: Statement = {
  name: "list-pass-keys",
  text: "SELECT key_id, public_key, made_at_ms FROM pass_keys ORDER BY made_at_ms DESC, key_id",
};

type PassKeyRow = { readonly key_id: string; readonly public_key: string; readonly made_at_ms: number };

/** The store of the keys of passes in SQLite or PostgreSQL. */
export function createPassKeyStore(db: Database): PassKeyStore {
  return {
    async addPassKey({ keyId, publicKey, madeAtMs }, forgetBeforeMs) {
      await db.change(ADD, [keyId, Buffer.from(publicKey).toString("base64url"), madeAtMs]);
      await db.change(FORGET, [forgetBeforeMs]);
    },
    listPassKeys: async () =>
      (await db.rows<PassKeyRow>(LIST)).map(({ key_id: keyId, public_key, made_at_ms: madeAtMs }) => ({
        keyId,
        publicKey: Buffer.from(public_key, "base64url"),
        madeAtMs,
      })),
  };
}
