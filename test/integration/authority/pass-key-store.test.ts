import { expect, it } from "vitest";
import { createPassKeyStore } from "../../../services/authority/store/pass-key-store.ts";
import { AUTHORITY_TABLES } from "../../../services/authority/store/tables.ts";
import { describeStore, openTestDatabase } from "../../support/store-contract.ts";

const NOW = 1_796_000_000_000;
const keyOf = (keyId: string, madeAtMs: number) => ({
  keyId,
  publicKey: Buffer.alloc(32, keyId),
  madeAtMs,
});

describeStore(
  "the store of the keys of passes",
  async (config) => {
    const db = await openTestDatabase(config, AUTHORITY_TABLES);
    return { ...createPassKeyStore(db), close: () => db.close() };
  },
  (test, dialect) => {
    it(`the store of the keys of passes lists them over a restart, newest first, on ${dialect}`, async () => {
      expect(await test.store.listPassKeys()).toEqual([]);
      await test.store.addPassKey(keyOf("one", NOW), 0);
      await test.store.addPassKey(keyOf("two", NOW + 1), 0);
      expect(await (await test.reopen()).listPassKeys()).toEqual([keyOf("two", NOW + 1), keyOf("one", NOW)]);
      await expect(test.store.addPassKey(keyOf("one", NOW), 0)).rejects.toThrow();
    });

    it(`the store of the keys of passes forgets those from before a moment when it adds one, on ${dialect}`, async () => {
      await test.store.addPassKey(keyOf("one", NOW), 0);
      await test.store.addPassKey(keyOf("two", NOW + 1), 0);
      await test.store.addPassKey(keyOf("three", NOW + 9), NOW + 1);
      expect((await test.store.listPassKeys()).map(({ keyId }) => keyId)).toEqual(["three", "two"]);
    });
  },
);
