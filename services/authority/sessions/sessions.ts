import { AirlockError, asAirlockError } from "#common/errors.ts";
import { makeSessionId, sessionHash } from "#common/identity/session-id.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import type { Authenticated, AuthenticatedByKey, Keys } from "../keys/keys.ts";
import type { SessionStore } from "../store/sql-sessions.ts";

/** Milliseconds after its last use at which a session ends. */
export const IDLE_MS = 8 * 3_600_000;
/** The most sessions of one principal; at one more the one that was used the longest ago ends. */
export const MAX_SESSIONS = 20;
// A session's last use is written at most once in this time, because every request would write otherwise.
const NOTE_USE_EVERY_MS = 60_000;

/** A session that was made. `id` is what the browser shows, and stands nowhere else. */
export type NewSession = { readonly id: string; readonly authenticated: AuthenticatedByKey };

export type Sessions = {
  /** Makes a session that stands for an API key. Rejects with `unauthenticated` when the key proves nothing. */
  create(key: string): Promise<NewSession>;
  /** Says whose session this is. Rejects with `unauthenticated` when it has ended, or its key has. */
  whose(id: string): Promise<Authenticated>;
  /** Ends a session. Nothing happens when it has ended before. */
  end(id: string): Promise<void>;
};

export function createSessions(store: SessionStore, keys: Keys, clock: Clock, log: Log): Sessions {
  const noteUse = async (idSha256: string, lastUsedAtMs: number) => {
    const now = clock.now();
    if (now - lastUsedAtMs < NOTE_USE_EVERY_MS) return;
    // A session that is in force must not be refused because the disk is full.
    await store
      .noteUse(idSha256, now)
      .catch((error: unknown) =>
        log.warn({ reason: asAirlockError(error).message }, "the last use of a session could not be stored"),
      );
  };
  return {
    async create(key) {
      const authenticated = await keys.authenticate(key);
      const id = makeSessionId();
      const now = clock.now();
      await store.add(
        {
          idSha256: sessionHash(id),
          principal: authenticated.principal.id,
          by: { keyId: authenticated.keyId },
          createdAtMs: now,
          lastUsedAtMs: now,
        },
        now - IDLE_MS,
        MAX_SESSIONS,
      );
      return { id, authenticated };
    },
    async whose(id) {
      const idSha256 = sessionHash(id);
      const found = await store.find(idSha256);
      if (!found || clock.now() - found.session.lastUsedAtMs >= IDLE_MS) throw ended();
      const { by, lastUsedAtMs } = found.session;
      if (!("keyId" in by)) throw ended();
      const authenticated = await keys.authenticateById(by.keyId);
      await noteUse(idSha256, lastUsedAtMs);
      // The version of the first look: a change after it makes the gateway ask again.
      return { ...authenticated, version: Math.min(found.version, authenticated.version) };
    },
    async end(id) {
      await store.end(sessionHash(id));
    },
  };
}

function ended(): AirlockError {
  return new AirlockError("unauthenticated", "The session has ended. Log in again (POST /session).");
}
