import type { Database, Statement } from "#common/database/database.ts";
import type { PrincipalKind } from "#common/identity/roles.ts";
import type { GrantedRole, Grantee } from "./grant.ts";
import { type GrantStore, MAX_GRANTS, type StoredGrant } from "./grant-store.ts";
import { COUNT_CHANGE } from "./sql-store.ts";

// Most grants that are looked at for one principal: one tenant cannot have more.
const MAX_FOUND = 10 * MAX_GRANTS;
const COLUMNS = "grant_id, tenant, cert, issuer, sub, claim, equals, role, kind, made_by, created_at_ms";

const ADD: Statement = {
  name: "add-grant",
  text: `INSERT INTO grants (${COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
};
const COUNT: Statement = {
  name: "count-grants",
  text: "SELECT count(*) AS grants FROM grants WHERE tenant = $1",
};
const LIST: Statement = {
  name: "list-grants",
  text: `SELECT ${COLUMNS} FROM grants WHERE tenant = $1 ORDER BY created_at_ms DESC, grant_id LIMIT ${MAX_GRANTS}`,
};
const REMOVE: Statement = {
  name: "remove-grant",
  text: "DELETE FROM grants WHERE tenant = $1 AND grant_id = $2",
};
const OF_CERT: Statement = {
  name: "grants-of-cert",
  text: `SELECT ${COLUMNS} FROM grants WHERE cert = $1 LIMIT ${MAX_FOUND}`,
};
const OF_SUBJECT: Statement = {
  name: "grants-of-subject",
  text: `SELECT ${COLUMNS} FROM grants WHERE issuer = $1 AND (sub = $2 OR sub IS NULL) LIMIT ${MAX_FOUND}`,
};

/** The store of grants in SQLite or PostgreSQL. */
export function createGrantStore(db: Database): GrantStore {
  return {
    addGrant: (grant) =>
      db.transaction(async (statements) => {
        // The changed row makes a second grant, which is added at the same moment, wait for this one.
        await statements.change(COUNT_CHANGE);
        const [row] = await statements.rows<{ readonly grants: number }>(COUNT, [grant.tenant]);
        if (Number(row?.grants) >= MAX_GRANTS) return false;
        await statements.change(ADD, valuesOf(grant));
        return true;
      }),
    listGrants: async (tenant) => (await db.rows<GrantRow>(LIST, [tenant])).map(grantOf),
    removeGrant: (tenant, grantId) =>
      db.transaction(async (statements) => {
        if ((await statements.change(REMOVE, [tenant, grantId])) === 0) return false;
        await statements.change(COUNT_CHANGE);
        return true;
      }),
    grantsOfCert: async (cert) => (await db.rows<GrantRow>(OF_CERT, [cert])).map(grantOf),
    grantsOfSubject: async (issuer, sub) => (await db.rows<GrantRow>(OF_SUBJECT, [issuer, sub])).map(grantOf),
  };
}

type GrantRow = {
  readonly grant_id: string;
  readonly tenant: string;
  readonly cert: string | null;
  readonly issuer: string | null;
  readonly sub: string | null;
  readonly claim: string | null;
  readonly equals: string | null;
  readonly role: GrantedRole;
  readonly kind: PrincipalKind;
  readonly made_by: string;
  readonly created_at_ms: number;
};

function valuesOf({ grantId, tenant, to, role, kind, madeBy, createdAtMs }: StoredGrant) {
  const {
    cert = null,
    issuer = null,
    sub = null,
    claim = null,
    equals = null,
  } = to as Readonly<Record<string, string | undefined>>;
  return [grantId, tenant, cert, issuer, sub, claim, equals, role, kind, madeBy, createdAtMs];
}

function grantOf(row: GrantRow): StoredGrant {
  return {
    grantId: row.grant_id,
    tenant: row.tenant,
    to: granteeOf(row),
    role: row.role,
    kind: row.kind,
    madeBy: row.made_by,
    createdAtMs: row.created_at_ms,
  };
}

function granteeOf({ cert, issuer, sub, claim, equals }: GrantRow): Grantee {
  if (cert !== null) return { cert };
  if (sub !== null) return { issuer: issuer as string, sub };
  return { issuer: issuer as string, claim: claim as string, equals: equals as string };
}
