import { expect, it } from "vitest";
import { makeApiKey } from "#common/identity/api-key.ts";
import { isSessionId, sessionHash } from "#common/identity/session-id.ts";
import { createLog } from "#common/service/log.ts";
import { createMakers } from "../../../services/authority/grants/makers.ts";
import { createKeys } from "../../../services/authority/keys/keys.ts";
import { createSessions, IDLE_MS, MAX_SESSIONS } from "../../../services/authority/sessions/sessions.ts";
import { createSessionStore } from "../../../services/authority/store/sql-sessions.ts";
import { createAuthorityStore } from "../../../services/authority/store/sql-store.ts";
import { AUTHORITY_TABLES } from "../../../services/authority/store/tables.ts";
import { createFakeClock } from "../../support/fake-clock.ts";
import { describeStore, openTestDatabase } from "../../support/store-contract.ts";

const byToken = async () => {
  throw new Error("no session of this test stands for a token");
};
const makers = createMakers({ of: async () => [] }, async () => undefined);
const log = createLog("authority", "silent");

describeStore(
  "the sessions of browsers",
  async (config) => {
    const db = await openTestDatabase(config, AUTHORITY_TABLES);
    return { keys: createAuthorityStore(db), sessions: createSessionStore(db), close: () => db.close() };
  },
  (test, dialect) => {
    const clock = createFakeClock(1_795_000_000_000);
    const open = () => {
      const keys = createKeys(test.store.keys, makers, clock, log);
      return { keys, sessions: createSessions(test.store.sessions, { keys, byToken }, clock, log) };
    };
    const refused = {
      code: "unauthenticated",
      message: "The session has ended. Log in again (POST /session, or /session/login).",
    };

    /** An admin's key, the first of its store. */
    const makeKey = async (name = "admin", expiresAtMs?: number) => {
      const made = makeApiKey();
      const common = { tenant: "default", madeBy: "system:airlock", createdAtMs: clock.now() };
      const principal = { ...common, id: `key:${name}`, kind: "human", disabled: false } as const;
      const key = {
        ...common,
        keyId: made.id,
        secretSha256: made.secretSha256,
        name,
        principal: principal.id,
        role: "admin",
        projects: ["demo"],
        expiresAtMs,
        lastUsedAtMs: undefined,
        revokedAtMs: undefined,
        rate: undefined,
      } as const;
      await test.store.keys.addKey(key, principal);
      return made;
    };

    it(`a session stands for its key, over a restart, and the store knows only its hash, on ${dialect}`, async () => {
      const key = await makeKey("admin", clock.now() + 10 * IDLE_MS);
      const { id, authenticated } = await open().sessions.create(key.text);
      expect(isSessionId(id)).toBe(true);
      await test.reopen();
      const whose = await open().sessions.whose(id, undefined);
      expect(whose).toEqual(authenticated);
      expect(whose.principal).toMatchObject({ id: "key:admin", role: "admin", projects: ["demo"] });
      const [row] = await test.sql<{ id_sha256: string }>(
        `SELECT * FROM ${dialect === "postgres" ? "authority." : ""}sessions`,
      );
      expect(row?.id_sha256).toBe(sessionHash(id));
      expect(JSON.stringify(row)).not.toContain(id);
    });

    it(`a session that is unknown, or has been ended, is refused, and its end is a change, on ${dialect}`, async () => {
      const { sessions } = open();
      const { id } = await sessions.create((await makeKey()).text);
      await expect(sessions.whose(`als_${"a".repeat(43)}`, undefined)).rejects.toMatchObject(refused);
      const before = await test.store.keys.version();
      await sessions.end(id);
      await sessions.end(id);
      expect(await test.store.keys.version()).toBe(before + 1);
      await expect(sessions.whose(id, undefined)).rejects.toMatchObject(refused);
    });

    it(`a session ends with its key: revoked, disabled, expired, on ${dialect}`, async () => {
      const { sessions, keys } = open();
      await makeKey("other");
      for (const [name, end, message] of [
        ["revoked", (keyId: string) => test.store.keys.revokeKey(keyId, clock.now()), "has been revoked"],
        ["disabled", () => test.store.keys.setDisabled("key:disabled", true, clock.now()), "is disabled"],
        ["expired", () => clock.advance(1_000), "has expired"],
      ] as const) {
        const key = await makeKey(name, name === "expired" ? clock.now() + 1_000 : undefined);
        const { id } = await sessions.create(key.text);
        await sessions.whose(id, undefined);
        await end(key.id);
        await expect(sessions.whose(id, undefined)).rejects.toMatchObject({
          code: "unauthenticated",
          message: expect.stringContaining(message),
        });
        await expect(sessions.create(key.text)).rejects.toMatchObject({ code: "unauthenticated" });
      }
      expect(
        (await keys.list((await sessions.create((await makeKey("last")).text)).authenticated.principal))
          .length,
      ).toBe(5);
    });

    it(`a session ends eight hours after its last use, on ${dialect}`, async () => {
      const { sessions } = open();
      const { id } = await sessions.create((await makeKey()).text);
      for (let hours = 0; hours < 24; hours += 6) {
        await clock.advance(IDLE_MS - 1);
        await sessions.whose(id, undefined);
      }
      await clock.advance(IDLE_MS);
      await expect(sessions.whose(id, undefined)).rejects.toMatchObject(refused);
      // A clock that is set back makes no session unusable.
      const { id: other } = await sessions.create((await makeKey("two")).text);
      await clock.advance(-3 * IDLE_MS);
      await sessions.whose(other, undefined);
    });

    it(`a principal has at most ${MAX_SESSIONS} sessions, and the one used the longest ago makes room, on ${dialect}`, async () => {
      const { sessions } = open();
      const key = await makeKey();
      const ids: string[] = [];
      const other = await sessions.create((await makeKey("other")).text);
      for (let n = 0; n < MAX_SESSIONS; n++) {
        ids.push((await sessions.create(key.text)).id);
        await clock.advance(1);
      }
      await clock.advance(60_000);
      await sessions.whose(ids[0] ?? "", undefined);
      const before = await test.store.keys.version();
      ids.push((await sessions.create(key.text)).id);
      expect(await test.store.keys.version()).toBe(before + 1);
      await expect(sessions.whose(ids[1] ?? "", undefined)).rejects.toMatchObject(refused);
      for (const id of [other.id, ...ids.filter((_, n) => n !== 1)]) await sessions.whose(id, undefined);
      // Sessions that nobody uses any more leave the store with the next login of anybody.
      await clock.advance(2 * IDLE_MS);
      await sessions.create(key.text);
      const rows = await test.sql(`SELECT * FROM ${dialect === "postgres" ? "authority." : ""}sessions`);
      expect(rows.length).toBe(1);
    });
  },
);
