import { expect, it } from "vitest";
import { createAuthorityStore } from "../../../services/authority/store/sql-store.ts";
import type { NewKey, StoredPrincipal } from "../../../services/authority/store/store.ts";
import { AUTHORITY_TABLES } from "../../../services/authority/store/tables.ts";
import { describeStore, openTestDatabase } from "../../support/store-contract.ts";

const NOW = 1_795_000_000_000;
const ADMIN: StoredPrincipal = {
  id: "key:admin",
  kind: "human",
  tenant: "default",
  madeBy: "system:airlock",
  disabled: false,
  createdAtMs: NOW,
};
const ALICE: StoredPrincipal = { ...ADMIN, id: "key:alice", madeBy: "key:admin" };
const BOT: StoredPrincipal = { ...ADMIN, id: "key:bot", kind: "agent", madeBy: "key:alice" };

function keyOf(principal: StoredPrincipal, keyId: string, changes: Partial<NewKey> = {}): NewKey {
  return {
    keyId,
    secretSha256: "a".repeat(64),
    name: principal.id.slice("key:".length),
    principal: principal.id,
    tenant: principal.tenant,
    role: "developer",
    projects: [],
    rate: undefined,
    madeBy: principal.madeBy,
    createdAtMs: NOW,
    expiresAtMs: undefined,
    lastUsedAtMs: undefined,
    revokedAtMs: undefined,
    ...changes,
  };
}

describeStore(
  "the store of keys",
  async (config) => createAuthorityStore(await openTestDatabase(config, AUTHORITY_TABLES)),
  (test, dialect) => {
    const addLine = async () => {
      await test.store.addAdmin(keyOf(ADMIN, "admin", { role: "admin" }), ADMIN, true, NOW);
      await test.store.addKey(keyOf(ALICE, "alice-1", { role: "operator", expiresAtMs: NOW + 1_000 }), ALICE);
      await test.store.addKey(keyOf(ALICE, "alice-2", { role: "observer" }), undefined);
      await test.store.addKey(keyOf(BOT, "bot", { projects: ["demo"] }), BOT);
    };

    it(`the store of keys finds a key over a restart, with its line of makers, on ${dialect}`, async () => {
      await addLine();
      const found = await (await test.reopen()).findKey("bot", NOW);
      expect(found?.key).toEqual({ ...keyOf(BOT, "bot", { projects: ["demo"] }), kind: "agent" });
      expect(found?.line).toEqual([
        { ...BOT, highestRole: "developer" },
        { ...ALICE, highestRole: "operator" },
      ]);
      expect(await test.store.findKey("none", NOW)).toBeUndefined();
    });

    it(`the store of keys counts only keys that have not ended towards a maker's role, on ${dialect}`, async () => {
      await addLine();
      const roles = async (now: number) =>
        (await test.store.findKey("bot", now))?.line.map(({ highestRole }) => highestRole);
      expect(await roles(NOW + 999)).toEqual(["developer", "operator"]);
      expect(await roles(NOW + 1_000)).toEqual(["developer", "observer"]);
      await test.store.revokeKey("alice-2", NOW);
      expect(await roles(NOW + 1_000)).toEqual(["developer", undefined]);
    });

    it(`the store of keys adds no key with a principal that exists, on ${dialect}`, async () => {
      await addLine();
      expect(await test.store.addKey(keyOf(BOT, "bot-2"), BOT)).toBe(false);
      expect(await test.store.findKey("bot-2", NOW)).toBeUndefined();
    });

    it(`the store of keys undoes a principal whose key cannot be added, on ${dialect}`, async () => {
      await addLine();
      const other = { ...BOT, id: "key:other" };
      await expect(test.store.addKey(keyOf(other, "bot"), other)).rejects.toThrow();
      expect(await test.store.findPrincipal("key:other")).toBeUndefined();
    });

    it(`the store of keys adds one first admin, even when two authorities start at once, on ${dialect}`, async () => {
      const keys = ["one", "two"].map((id) => keyOf(ADMIN, id, { role: "admin" }));
      const added = await Promise.all(keys.map((key) => test.store.addAdmin(key, ADMIN, true, NOW)));
      expect(added.toSorted()).toEqual([false, true]);
      expect(await test.store.listKeys("default", undefined, NOW)).toHaveLength(1);
    });

    it(`the store of keys adds another admin when the last one's key has ended, on ${dialect}`, async () => {
      const ends = { role: "admin", expiresAtMs: NOW + 10 } as const;
      await test.store.addAdmin(keyOf(ADMIN, "one", ends), ADMIN, true, NOW);
      const other = { ...ADMIN, id: "key:other" };
      await test.store.addKey(keyOf(other, "other", ends), other);
      await test.store.setDisabled(ADMIN.id, true, NOW);
      const second = keyOf(ADMIN, "two", { role: "admin" });
      expect(await test.store.addAdmin(second, ADMIN, true, NOW + 9)).toBe(false);
      expect(await test.store.addAdmin(second, ADMIN, true, NOW + 10)).toBe(true);
      expect((await test.store.findPrincipal(ADMIN.id))?.disabled).toBe(false);
      expect(await test.store.addAdmin(keyOf(ADMIN, "two", { role: "admin" }), ADMIN, false, NOW)).toBe(
        false,
      );
    });

    it.each([
      ["limited to projects", ADMIN, { projects: ["demo"] }],
      ["of another tenant", { ...ADMIN, tenant: "acme" }, {}],
      ["of an agent", { ...ADMIN, kind: "agent" }, {}],
    ] as const)(
      `the store of keys adds a first admin beside an admin's key that is %s, on ${dialect}`,
      async (_, other, changes) => {
        const principal = { ...other, id: "key:other" };
        await test.store.addKey(keyOf(principal, "other", { role: "admin", ...changes }), principal);
        const first = (keyId: string) =>
          test.store.addAdmin(keyOf(ADMIN, keyId, { role: "admin" }), ADMIN, true, NOW);
        expect(await first("one")).toBe(true);
        expect(await first("two")).toBe(false);
        expect(await test.store.revokeKey("other", NOW)).toBe(true);
        await expect(test.store.revokeKey("one", NOW)).rejects.toMatchObject({ code: "last_admin" });
      },
    );

    it(`the store of keys revokes and disables where there was no admin before, on ${dialect}`, async () => {
      const limited = { role: "admin", projects: ["demo"] } as const;
      await test.store.addKey(keyOf(ALICE, "alice", limited), ALICE);
      expect(await test.store.revokeKey("alice", NOW)).toBe(true);
      expect(await test.store.setDisabled(ALICE.id, true, NOW)).toBe(true);
    });

    it.each([
      ["an agent", { kind: "agent" }],
      ["a service", { kind: "service" }],
      ["of another tenant", { tenant: "acme" }],
    ] as const)(
      `the store of keys gives an admin another name when its own is taken by a principal that is %s, on ${dialect}`,
      async (_, changes) => {
        const taken = { ...ADMIN, ...changes, disabled: true, madeBy: "system:local" };
        await test.store.addKey(keyOf(taken, "taken"), taken);
        const second = { ...BOT, id: "key:admin-2" };
        await test.store.addKey(keyOf(second, "second"), second);
        const keyIds = ["one", "two"];
        for (const id of keyIds)
          expect(await test.store.addAdmin(keyOf(ADMIN, id, { role: "admin" }), ADMIN, false, NOW)).toBe(
            true,
          );
        for (const id of keyIds) {
          const found = await test.store.findKey(id, NOW);
          expect(found?.key).toMatchObject({ principal: "key:admin-3", name: "admin-3", kind: "human" });
          expect(found?.line).toEqual([{ ...ADMIN, id: "key:admin-3", highestRole: "admin" }]);
        }
        expect(await test.store.findPrincipal(ADMIN.id)).toEqual(taken);
      },
    );

    it(`the store of keys lists a tenant's keys, or those of one maker, newest first, on ${dialect}`, async () => {
      await addLine();
      const foreign = { ...BOT, id: "key:foreign", tenant: "acme" };
      await test.store.addKey(keyOf(foreign, "foreign", { createdAtMs: NOW + 1 }), foreign);
      await test.store.addKey(keyOf(BOT, "bot-2", { createdAtMs: NOW + 1 }), undefined);
      const ids = async (madeBy?: string) =>
        (await test.store.listKeys("default", madeBy, NOW)).map(({ keyId }) => keyId);
      expect(await ids("key:alice")).toEqual(["bot-2", "bot"]);
      expect(await ids()).toEqual(["bot-2", "admin", "alice-1", "alice-2", "bot"]);
      expect(await test.store.countKeys("default", "key:alice", NOW)).toBe(2);
      expect((await test.store.newestKey(BOT.id, NOW))?.keyId).toBe("bot-2");
      // Keys that have ended come last, so that they hide none that is in force.
      await test.store.revokeKey("bot-2", NOW);
      expect(await ids("key:alice")).toEqual(["bot", "bot-2"]);
      expect(await test.store.countKeys("default", "key:alice", NOW)).toBe(1);
      expect((await test.store.newestKey(BOT.id, NOW))?.keyId).toBe("bot");
    });

    it(`the store of keys grows its version with each revocation and each change of a principal, on ${dialect}`, async () => {
      await addLine();
      const first = await test.store.version();
      expect(await test.store.revokeKey("bot", NOW)).toBe(true);
      expect(await test.store.revokeKey("bot", NOW + 5)).toBe(false);
      expect(await test.store.version()).toBe(first + 1);
      expect((await test.store.findKey("bot", NOW))?.key.revokedAtMs).toBe(NOW);
      expect(await test.store.setDisabled("key:alice", true, NOW)).toBe(true);
      expect(await test.store.setDisabled("key:nobody", true, NOW)).toBe(false);
      expect(await test.store.version()).toBe(first + 2);
      expect((await test.store.findKey("bot", NOW))?.version).toBe(first + 2);
    });

    it(`the store of keys refuses to revoke or disable the last admin, on ${dialect}`, async () => {
      await addLine();
      const bot = keyOf(BOT, "bot-admin", { role: "admin" });
      await test.store.addKey(bot, undefined);
      const version = await test.store.version();
      await expect(test.store.revokeKey("admin", NOW)).rejects.toMatchObject({ code: "last_admin" });
      await expect(test.store.setDisabled(ADMIN.id, true, NOW)).rejects.toMatchObject({ code: "last_admin" });
      expect(await test.store.version()).toBe(version);
      expect((await test.store.findKey("admin", NOW))?.key.revokedAtMs).toBeUndefined();
      await test.store.addKey(keyOf(ALICE, "alice-3", { role: "admin" }), undefined);
      expect(await test.store.revokeKey("admin", NOW)).toBe(true);
      await expect(test.store.revokeKey("alice-3", NOW)).rejects.toMatchObject({ code: "last_admin" });
      expect(await test.store.revokeKey("alice-2", NOW)).toBe(true);
    });

    it(`the store of keys keeps when a key was last used, on ${dialect}`, async () => {
      await addLine();
      await test.store.noteUse("bot", NOW + 3);
      expect((await test.store.findKey("bot", NOW))?.key.lastUsedAtMs).toBe(NOW + 3);
    });
  },
);
