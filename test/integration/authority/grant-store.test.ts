import { expect, it } from "vitest";
import {
  type GrantStore,
  MAX_GRANTS,
  type StoredGrant,
} from "../../../services/authority/store/grant-store.ts";
import { createGrantStore } from "../../../services/authority/store/sql-grants.ts";
import { createAuthorityStore } from "../../../services/authority/store/sql-store.ts";
import { AUTHORITY_TABLES } from "../../../services/authority/store/tables.ts";
import { describeStore, openTestDatabase } from "../../support/store-contract.ts";

const NOW = 1_795_000_000_000;
const ISSUER = "https://login.example.com";

function grant(grantId: string, to: StoredGrant["to"], changes: Partial<StoredGrant> = {}): StoredGrant {
  return {
    grantId,
    to,
    role: "developer",
    kind: "human",
    tenant: "default",
    madeBy: "key:admin",
    createdAtMs: NOW,
    ...changes,
  };
}

const BILLING = grant("billing", { cert: "billing" }, { kind: "service", createdAtMs: NOW + 2 });
const ALICE = grant("alice", { issuer: ISSUER, sub: "alice" }, { role: "admin", createdAtMs: NOW + 1 });
const TEAM = grant("team", { issuer: ISSUER, claim: "groups", equals: "data" }, { kind: "agent" });
const FOREIGN = grant("foreign", { issuer: ISSUER, sub: "alice" }, { tenant: "acme" });

describeStore(
  "the store of grants",
  async (config) => {
    const db = await openTestDatabase(config, AUTHORITY_TABLES);
    const { version, close } = createAuthorityStore(db);
    return { ...createGrantStore(db), version, close };
  },
  (test, dialect) => {
    const addAll = async (store: GrantStore) => {
      for (const each of [BILLING, ALICE, TEAM, FOREIGN]) expect(await store.addGrant(each)).toBe(true);
    };

    it(`the store of grants finds those for a certificate and for a subject over a restart, on ${dialect}`, async () => {
      await addAll(test.store);
      const store = await test.reopen();
      expect(await store.grantsOfCert("billing")).toEqual([BILLING]);
      expect(await store.grantsOfCert("alice")).toEqual([]);
      const ids = (grants: readonly StoredGrant[]) => grants.map(({ grantId }) => grantId).sort();
      expect(ids(await store.grantsOfSubject(ISSUER, "alice"))).toEqual(["alice", "foreign", "team"]);
      expect(await store.grantsOfSubject(ISSUER, "bob")).toEqual([TEAM]);
      expect(await store.grantsOfSubject("https://other.example.com", "alice")).toEqual([]);
    });

    it(`the store of grants lists and removes those of one tenant only, on ${dialect}`, async () => {
      await addAll(test.store);
      expect(await test.store.listGrants("default")).toEqual([BILLING, ALICE, TEAM]);
      expect(await test.store.removeGrant("default", "foreign")).toBe(false);
      expect(await test.store.removeGrant("acme", "foreign")).toBe(true);
      expect(await test.store.removeGrant("acme", "foreign")).toBe(false);
      expect(await test.store.listGrants("acme")).toEqual([]);
    });

    it(`the store of grants grows the version with each change, on ${dialect}`, async () => {
      const first = await test.store.version();
      await test.store.addGrant(ALICE);
      expect(await test.store.version()).toBe(first + 1);
      await test.store.removeGrant("default", "none");
      expect(await test.store.version()).toBe(first + 1);
      await test.store.removeGrant("default", "alice");
      expect(await test.store.version()).toBe(first + 2);
    });

    it(`the store of grants refuses one more than there may be, on ${dialect}`, async () => {
      for (let n = 0; n < MAX_GRANTS; n++) await test.store.addGrant({ ...BILLING, grantId: `g${n}` });
      const version = await test.store.version();
      expect(await test.store.addGrant(ALICE)).toBe(false);
      expect(await test.store.addGrant(FOREIGN)).toBe(true);
      expect(await test.store.grantsOfSubject(ISSUER, "alice")).toEqual([FOREIGN]);
      expect(await test.store.version()).toBeGreaterThan(version);
    });
  },
);
