import { AirlockError, asAirlockError } from "#common/errors.ts";
import { makeSessionId, sessionHash } from "#common/identity/session-id.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import type { Authenticated, AuthenticatedByKey, Keys } from "../keys/keys.ts";
import type { SessionStore, StoredSession, StoredToken } from "../store/sql-sessions.ts";

/** Milliseconds after its last use at which a session ends. */
export const IDLE_MS = 8 * 3_600_000;
/**
 * Milliseconds after the login at which a session that stands for a token ends, however it is used, because the
 * provider does not say when the person may no longer log in.
 */
const LIFE_BY_TOKEN_MS = 24 * 3_600_000;
/** The most sessions of one principal; at one more the one that was used the longest ago ends. */
export const MAX_SESSIONS = 20;
// A session's last use is written at most once in this time, because every request would write otherwise.
const NOTE_USE_EVERY_MS = 60_000;

/** A session that was made. `id` is what the browser shows, and stands nowhere else. */
export type NewSession = { readonly id: string; readonly authenticated: AuthenticatedByKey };

export type Sessions = {
  /** Makes a session that stands for an API key. Rejects with `unauthenticated` when the key proves nothing. */
  create(key: string): Promise<NewSession>;
  /** Makes a session that stands for the person whom a token names; resolves to its id. */
  createByToken(token: StoredToken, principal: string): Promise<string>;
  /**
   * Says whose session this is, in `tenant` or in the only one that it may act in. Rejects with `unauthenticated`
   * when it has ended, or its key has, and like a token when it stands for one.
   */
  whose(id: string, tenant: string | undefined): Promise<Authenticated>;
  /** Ends a session. Nothing happens when it has ended before. */
  end(id: string): Promise<void>;
};

/** Says who the holder of a token is, by the grants of this moment. */
type ByToken = (
  token: StoredToken,
  tenant: string | undefined,
  expiresAtMs: number | undefined,
) => Promise<Authenticated>;

export function createSessions(
  store: SessionStore,
  { keys, byToken }: { readonly keys: Keys; readonly byToken: ByToken },
  clock: Clock,
  log: Log,
): Sessions {
  const add = async (principal: string, by: StoredSession["by"]): Promise<string> => {
    const id = makeSessionId();
    const now = clock.now();
    const session = { idSha256: sessionHash(id), principal, by, createdAtMs: now, lastUsedAtMs: now };
    await store.add(session, now - IDLE_MS, MAX_SESSIONS);
    return id;
  };
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
      const id = await add(authenticated.principal.id, { keyId: authenticated.keyId });
      return { id, authenticated };
    },
    createByToken: (token, principal) => add(principal, { token }),
    async whose(id, tenant) {
      const idSha256 = sessionHash(id);
      const found = await store.find(idSha256);
      if (!found || clock.now() - found.session.lastUsedAtMs >= IDLE_MS) throw ended();
      const { by, createdAtMs, lastUsedAtMs } = found.session;
      const endsAtMs = createdAtMs + LIFE_BY_TOKEN_MS;
      if ("token" in by && clock.now() >= endsAtMs) throw ended();
      const authenticated =
        "token" in by ? await byToken(by.token, tenant, endsAtMs) : await keys.authenticateById(by.keyId);
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
  return new AirlockError(
    "unauthenticated",
    "The session has ended. Log in again (POST /session, or /session/login).",
  );
}
