import type { Database, Statement, Statements } from "#common/database/database.ts";
import { AirlockError } from "#common/errors.ts";
import { DEFAULT_TENANT } from "#common/identity/principal.ts";
import { type PrincipalKind, ROLES, type Role } from "#common/identity/roles.ts";
import type { Ancestor, AuthorityStore, NewKey, StoredKey, StoredPrincipal } from "./store.ts";

// Most principals in the line of a key. Agents make no keys, so a real line has an agent and its maker.
const MAX_LINE = 8;
/** The largest number of keys, or principals, that one list shows. */
const MAX_LISTED = 1_000;

const RANK = `CASE role ${ROLES.map((role, rank) => `WHEN '${role}' THEN ${rank}`).join(" ")} END`;
const KEY_COLUMNS = `k.key_id, k.secret_sha256, k.name, k.principal, p.kind, k.tenant, k.role, k.projects,
  k.made_by, k.created_at_ms, k.expires_at_ms, k.last_used_at_ms, k.revoked_at_ms, k.rate`;
const KEYS = `FROM keys AS k JOIN principals AS p ON p.id = k.principal`;
/** 1 for a key that has ended at the moment `now`, otherwise 0. */
const IS_OVER = (now: string) =>
  `CASE WHEN k.revoked_at_ms IS NULL AND (k.expires_at_ms IS NULL OR k.expires_at_ms > ${now}) THEN 0 ELSE 1 END`;
const PRINCIPAL_COLUMNS = "id, kind, tenant, made_by, disabled, created_at_ms";

const ADD_PRINCIPAL = statement(
  "add-principal",
  `INSERT INTO principals (${PRINCIPAL_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
);
const ADD_KEY = statement(
  "add-key",
  `INSERT INTO keys (key_id, secret_sha256, name, principal, tenant, role, projects, made_by, created_at_ms,
    expires_at_ms, rate) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
);
const FIND_KEY = statement(
  "find-key",
  `SELECT ${KEY_COLUMNS}, (SELECT version FROM changes) AS version ${KEYS} WHERE k.key_id = $1`,
);
const FIND_LINE = statement(
  "find-line",
  `WITH RECURSIVE line (depth, id) AS (
     SELECT 0, principal FROM keys WHERE key_id = $1
     UNION ALL
     SELECT line.depth + 1, p.made_by FROM line JOIN principals AS p ON p.id = line.id
     WHERE p.kind = 'agent' AND line.depth < ${MAX_LINE}
   )
   SELECT ${PRINCIPAL_COLUMNS.replace("id,", "p.id,")}, (
     SELECT min(${RANK}) FROM keys
     WHERE keys.principal = p.id AND revoked_at_ms IS NULL AND (expires_at_ms IS NULL OR expires_at_ms > $2)
   ) AS highest
   FROM line JOIN principals AS p ON p.id = line.id ORDER BY line.depth`,
);
const LIST_KEYS = statement(
  "list-keys",
  `SELECT ${KEY_COLUMNS} ${KEYS} WHERE k.tenant = $1
   ORDER BY ${IS_OVER("$2")}, k.created_at_ms DESC, k.key_id LIMIT ${MAX_LISTED}`,
);
const LIST_KEYS_OF_MAKER = statement(
  "list-keys-of-maker",
  `SELECT ${KEY_COLUMNS} ${KEYS} WHERE k.tenant = $1 AND k.made_by = $3
   ORDER BY ${IS_OVER("$2")}, k.created_at_ms DESC, k.key_id LIMIT ${MAX_LISTED}`,
);
const COUNT_KEYS = statement(
  "count-keys",
  `SELECT count(*) AS count FROM keys AS k WHERE k.tenant = $1 AND k.made_by = $3 AND ${IS_OVER("$2")} = 0`,
);
const NEWEST_KEY = statement(
  "newest-key",
  `SELECT ${KEY_COLUMNS} ${KEYS} WHERE k.principal = $1 AND k.revoked_at_ms IS NULL
     AND (k.expires_at_ms IS NULL OR k.expires_at_ms > $2) ORDER BY k.created_at_ms DESC, k.key_id LIMIT 1`,
);
const REVOKE_KEY = statement(
  "revoke-key",
  "UPDATE keys SET revoked_at_ms = $2 WHERE key_id = $1 AND revoked_at_ms IS NULL",
);
const FIND_ADMIN = statement(
  "find-admin",
  `SELECT 1 AS found ${KEYS} WHERE k.role = 'admin' AND p.kind <> 'agent' AND k.revoked_at_ms IS NULL AND p.disabled = 0
     AND k.tenant = '${DEFAULT_TENANT}' AND k.projects = '[]' AND (k.expires_at_ms IS NULL OR k.expires_at_ms > $1) LIMIT 1`,
);
const NOTE_USE = statement("note-use", "UPDATE keys SET last_used_at_ms = $2 WHERE key_id = $1");
const FIND_PRINCIPAL = statement(
  "find-principal",
  `SELECT ${PRINCIPAL_COLUMNS} FROM principals WHERE id = $1`,
);
const LIST_PRINCIPALS = statement(
  "list-principals",
  `SELECT ${PRINCIPAL_COLUMNS} FROM principals WHERE tenant = $1 ORDER BY id LIMIT ${MAX_LISTED}`,
);
const SET_DISABLED = statement("set-disabled", "UPDATE principals SET disabled = $2 WHERE id = $1");
/** Grows the version of changes. */
export const COUNT_CHANGE = statement("count-change", "UPDATE changes SET version = version + 1");
const VERSION = statement("version", "SELECT version FROM changes");

/** The store in SQLite or PostgreSQL. */
export function createAuthorityStore(db: Database): AuthorityStore {
  return {
    addKey: (key, principal) =>
      db.transaction(async (statements) => {
        if (principal && (await statements.change(ADD_PRINCIPAL, principalValues(principal))) === 0)
          return false;
        await statements.change(ADD_KEY, keyValues(key));
        return true;
      }),
    addAdmin: (key, principal, onlyFirst, now) =>
      db.transaction(async (statements) => {
        // The changed row also makes a second authority, which starts at the same moment, wait for this one.
        await statements.change(COUNT_CHANGE);
        if ((await statements.rows(FIND_KEY, [key.keyId])).length > 0) return false;
        if (onlyFirst && (await hasAdmin(statements, now))) return false;
        const id = await addAdminsPrincipal(statements, principal);
        await statements.change(SET_DISABLED, [id, 0]);
        const name = id === principal.id ? key.name : id.slice("key:".length);
        await statements.change(ADD_KEY, keyValues({ ...key, name, principal: id }));
        return true;
      }),
    async findKey(keyId, now) {
      const [row] = await db.rows<KeyRow & { readonly version: number }>(FIND_KEY, [keyId]);
      if (!row) return undefined;
      const line = await db.rows<AncestorRow>(FIND_LINE, [keyId, now]);
      return { key: keyOf(row), line: line.map(ancestorOf), version: row.version };
    },
    async listKeys(tenant, madeBy, now) {
      const rows =
        madeBy === undefined
          ? await db.rows<KeyRow>(LIST_KEYS, [tenant, now])
          : await db.rows<KeyRow>(LIST_KEYS_OF_MAKER, [tenant, now, madeBy]);
      return rows.map(keyOf);
    },
    async countKeys(tenant, madeBy, now) {
      const [row] = await db.rows<{ readonly count: number }>(COUNT_KEYS, [tenant, now, madeBy]);
      return Number(row?.count ?? 0);
    },
    async newestKey(principal, now) {
      const [row] = await db.rows<KeyRow>(NEWEST_KEY, [principal, now]);
      return row && keyOf(row);
    },
    revokeKey: (keyId, now) =>
      db.transaction(async (statements) => {
        const hadAdmin = await hasAdmin(statements, now);
        if ((await statements.change(REVOKE_KEY, [keyId, now])) === 0) return false;
        // The row of this change makes the second of two revocations at the same moment see the first.
        await statements.change(COUNT_CHANGE);
        if (hadAdmin) await refuseWithoutAdmin(statements, now);
        return true;
      }),
    async noteUse(keyId, now) {
      await db.change(NOTE_USE, [keyId, now]);
    },
    async findPrincipal(id) {
      const [row] = await db.rows<PrincipalRow>(FIND_PRINCIPAL, [id]);
      return row && principalOf(row);
    },
    async listPrincipals(tenant) {
      return (await db.rows<PrincipalRow>(LIST_PRINCIPALS, [tenant])).map(principalOf);
    },
    setDisabled: (id, disabled, now, added) =>
      db.transaction(async (statements) => {
        const hadAdmin = await hasAdmin(statements, now);
        if (added) await statements.change(ADD_PRINCIPAL, principalValues(added));
        if ((await statements.change(SET_DISABLED, [id, Number(disabled)])) === 0) return false;
        await statements.change(COUNT_CHANGE);
        if (disabled && hadAdmin) await refuseWithoutAdmin(statements, now);
        return true;
      }),
    async version() {
      const [row] = await db.rows<{ readonly version: number }>(VERSION);
      return row?.version ?? 0;
    },
    async countChange() {
      await db.change(COUNT_CHANGE);
    },
    ping: () => db.ping(),
    close: () => db.close(),
  };
}

/**
 * Whether an admin of the whole deployment has a key that is in force. A key that is limited to projects, or is
 * of another tenant or of an agent, does not count, because it cannot administer the deployment.
 */
async function hasAdmin(statements: Statements, now: number): Promise<boolean> {
  return (await statements.rows(FIND_ADMIN, [now])).length > 0;
}

/**
 * Adds the principal of an admin's key and resolves to its id. Another client may have taken the name for an
 * agent, a service or another tenant; the id gets a number then, such as key:admin-2.
 */
async function addAdminsPrincipal(statements: Statements, principal: StoredPrincipal): Promise<string> {
  for (let number = 1; ; number += 1) {
    const id = number === 1 ? principal.id : `${principal.id}-${number}`;
    if ((await statements.change(ADD_PRINCIPAL, principalValues({ ...principal, id }))) > 0) return id;
    const [taken] = await statements.rows<PrincipalRow>(FIND_PRINCIPAL, [id]);
    const isOfKind = taken?.kind === principal.kind && taken.tenant === principal.tenant;
    // A name with a number may be another human's; only one that was made here before is used again.
    if (isOfKind && (number === 1 || taken.made_by === principal.madeBy)) return id;
  }
}

/** Refuses, and thereby undoes, a change after which no admin has a key that is in force. */
async function refuseWithoutAdmin(statements: Statements, now: number): Promise<void> {
  if (await hasAdmin(statements, now)) return;
  throw new AirlockError(
    "last_admin",
    "No admin would be left whose key is in force. Make a key of another human with the role admin first.",
  );
}

type PrincipalRow = {
  readonly id: string;
  readonly kind: PrincipalKind;
  readonly tenant: string;
  readonly made_by: string;
  readonly disabled: number;
  readonly created_at_ms: number;
};

type AncestorRow = PrincipalRow & {
  readonly highest: number | null;
};

type KeyRow = {
  readonly key_id: string;
  readonly secret_sha256: string;
  readonly name: string;
  readonly principal: string;
  readonly kind: PrincipalKind;
  readonly tenant: string;
  readonly role: Role;
  readonly projects: string;
  readonly made_by: string;
  readonly created_at_ms: number;
  readonly expires_at_ms: number | null;
  readonly last_used_at_ms: number | null;
  readonly revoked_at_ms: number | null;
  readonly rate: number | null;
};

function statement(name: string, text: string): Statement {
  return { name, text };
}

function principalValues({ id, kind, tenant, madeBy, disabled, createdAtMs }: StoredPrincipal) {
  return [id, kind, tenant, madeBy, Number(disabled), createdAtMs];
}

function keyValues(key: NewKey) {
  return [
    key.keyId,
    key.secretSha256,
    key.name,
    key.principal,
    key.tenant,
    key.role,
    JSON.stringify(key.projects),
    key.madeBy,
    key.createdAtMs,
    key.expiresAtMs ?? null,
    key.rate ?? null,
  ];
}

function principalOf(row: PrincipalRow): StoredPrincipal {
  const { id, kind, tenant, made_by: madeBy, disabled, created_at_ms: createdAtMs } = row;
  return { id, kind, tenant, madeBy, disabled: disabled !== 0, createdAtMs };
}

function ancestorOf(row: AncestorRow): Ancestor {
  return {
    ...principalOf(row),
    highestRole: row.highest === null ? undefined : ROLES[row.highest],
  };
}

function keyOf(row: KeyRow): StoredKey {
  return {
    keyId: row.key_id,
    secretSha256: row.secret_sha256,
    name: row.name,
    principal: row.principal,
    kind: row.kind,
    tenant: row.tenant,
    role: row.role,
    projects: JSON.parse(row.projects) as string[],
    rate: row.rate ?? undefined,
    madeBy: row.made_by,
    createdAtMs: row.created_at_ms,
    expiresAtMs: row.expires_at_ms ?? undefined,
    lastUsedAtMs: row.last_used_at_ms ?? undefined,
    revokedAtMs: row.revoked_at_ms ?? undefined,
  };
}
