import type { Database, Statement } from "#common/database/database.ts";

/** What of a token says who its holder is. */
export type StoredToken = {
  readonly issuer: string;
  readonly sub: string;
  readonly claims: Readonly<Record<string, unknown>>;
};

/** A session of a browser. Moments are epoch milliseconds. */
export type StoredSession = {
  /** The SHA-256 of the session's id, 64 hexadecimal digits. */
  readonly idSha256: string;
  readonly principal: string;
  /** What proved who the browser's user is: an API key, or a token of an OpenID provider. */
  readonly by: { readonly keyId: string } | { readonly token: StoredToken };
  readonly createdAtMs: number;
  readonly lastUsedAtMs: number;
};

/** A session and the version of changes at that moment. */
export type FoundSession = { readonly session: StoredSession; readonly version: number };

/** The sessions of browsers. The methods reject with an AirlockError when the database cannot be used. */
export type SessionStore = {
  /**
   * Adds a session. Removes those that were last used before `usedSinceMs`, and of the same principal those that
   * were used the longest ago, until it has at most `most`.
   */
  add(session: StoredSession, usedSinceMs: number, most: number): Promise<void>;
  find(idSha256: string): Promise<FoundSession | undefined>;
  noteUse(idSha256: string, now: number): Promise<void>;
  /** Resolves to false when there is no such session. */
  end(idSha256: string): Promise<boolean>;
};

const COLUMNS = "id_sha256, principal, key_id, token, created_at_ms, last_used_at_ms";
const ADD = statement("add-session", `INSERT INTO sessions (${COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6)`);
const REMOVE_UNUSED = statement("remove-unused-sessions", "DELETE FROM sessions WHERE last_used_at_ms < $1");
const REMOVE_BEYOND = statement(
  "remove-sessions-beyond",
  `DELETE FROM sessions WHERE principal = $1 AND id_sha256 NOT IN (
     SELECT id_sha256 FROM sessions WHERE principal = $1 ORDER BY last_used_at_ms DESC, id_sha256 LIMIT $2)`,
);
const FIND = statement(
  "find-session",
  `SELECT ${COLUMNS}, (SELECT version FROM changes) AS version FROM sessions WHERE id_sha256 = $1`,
);
const NOTE_USE = statement(
  "note-session-use",
  "UPDATE sessions SET last_used_at_ms = $2 WHERE id_sha256 = $1",
);
const END = statement("end-session", "DELETE FROM sessions WHERE id_sha256 = $1");
const COUNT_CHANGE = statement("count-session-change", "UPDATE changes SET version = version + 1");

/** The sessions in SQLite or PostgreSQL. */
export function createSessionStore(db: Database): SessionStore {
  return {
    add: (session, usedSinceMs, most) =>
      db.transaction(async (statements) => {
        const { idSha256, principal, by, createdAtMs, lastUsedAtMs } = session;
        await statements.change(REMOVE_UNUSED, [usedSinceMs]);
        // The older ones make room first, so that the new one stays however the moments compare.
        const removed = await statements.change(REMOVE_BEYOND, [principal, most - 1]);
        if (removed > 0) await statements.change(COUNT_CHANGE);
        const proof = "keyId" in by ? [by.keyId, null] : [null, JSON.stringify(by.token)];
        await statements.change(ADD, [idSha256, principal, ...proof, createdAtMs, lastUsedAtMs]);
      }),
    async find(idSha256) {
      const [row] = await db.rows<Row>(FIND, [idSha256]);
      return row && { session: sessionOf(row), version: row.version };
    },
    async noteUse(idSha256, now) {
      await db.change(NOTE_USE, [idSha256, now]);
    },
    end: (idSha256) =>
      db.transaction(async (statements) => {
        if ((await statements.change(END, [idSha256])) === 0) return false;
        await statements.change(COUNT_CHANGE);
        return true;
      }),
  };
}

type Row = {
  readonly id_sha256: string;
  readonly principal: string;
  readonly key_id: string | null;
  readonly token: string | null;
  readonly created_at_ms: number;
  readonly last_used_at_ms: number;
  readonly version: number;
};

function sessionOf(row: Row): StoredSession {
  return {
    idSha256: row.id_sha256,
    principal: row.principal,
    by: row.key_id === null ? { token: JSON.parse(row.token ?? "") } : { keyId: row.key_id },
    createdAtMs: row.created_at_ms,
    lastUsedAtMs: row.last_used_at_ms,
  };
}

function statement(name: string, text: string): Statement {
  return { name, text };
}
