import type { PrincipalKind, Role } from "#common/identity/roles.ts";

/** A principal that has keys. Moments are epoch milliseconds. */
export type StoredPrincipal = {
  readonly id: string;
  readonly kind: PrincipalKind;
  readonly tenant: string;
  /** The id of the principal that made this one; it begins with `system:` for the first of a deployment. */
  readonly madeBy: string;
  readonly disabled: boolean;
  readonly createdAtMs: number;
};

/** An API key. Its secret part is known by its SHA-256 only (64 hexadecimal digits). */
export type StoredKey = {
  readonly keyId: string;
  readonly secretSha256: string;
  readonly name: string;
  readonly principal: string;
  readonly kind: PrincipalKind;
  readonly tenant: string;
  readonly role: Role;
  /** The projects that the key is limited to; empty: all of the tenant. */
  readonly projects: readonly string[];
  /** The changes a minute that the key allows; undefined: as many as the role. */
  readonly rate: number | undefined;
  readonly madeBy: string;
  readonly createdAtMs: number;
  /** Undefined: the key does not end by itself. */
  readonly expiresAtMs: number | undefined;
  readonly lastUsedAtMs: number | undefined;
  readonly revokedAtMs: number | undefined;
};

/** A key that is to be stored; its kind is that of its principal. */
export type NewKey = Omit<StoredKey, "kind">;

/**
 * One principal in the line of a key: the key's own and, when that is an agent, its maker. A line ends with a
 * human or a service, or with a maker that is Airlock itself and has no row.
 */
export type Ancestor = StoredPrincipal & {
  /** The highest role among the principal's keys that have not ended; undefined when all have. */
  readonly highestRole: Role | undefined;
};

/** A key with the principals in its line, nearest first, and the version of changes at that moment. */
export type FoundKey = {
  readonly key: StoredKey;
  readonly line: readonly Ancestor[];
  readonly version: number;
};

/** Keys and principals. The methods reject with an AirlockError when the database cannot be used. */
export type AuthorityStore = {
  /**
   * Adds a key and, unless undefined, its new principal. Resolves to false, and changes nothing, when there is
   * a principal with this id already.
   */
  addKey(key: NewKey, principal: StoredPrincipal | undefined): Promise<boolean>;
  /**
   * Adds an admin's key, and its principal unless that exists; a disabled one is enabled. When the principal's
   * id is taken by one of another kind or tenant, the key gets an id with a number, such as key:admin-2.
   * Resolves to false, and changes nothing, when the key exists, or with `onlyFirst` when there is an admin of
   * all projects of the tenant `default` whose key has not ended.
   */
  addAdmin(key: NewKey, principal: StoredPrincipal, onlyFirst: boolean, now: number): Promise<boolean>;
  /** The key with its line of principals, of which `now` decides which keys have ended. */
  findKey(keyId: string, now: number): Promise<FoundKey | undefined>;
  /**
   * At most 1,000 keys of a tenant, those that are in force at the moment `now` first, each newest first; only those
   * that `madeBy` made, unless it is undefined.
   */
  listKeys(tenant: string, madeBy: string | undefined, now: number): Promise<StoredKey[]>;
  /** The number of a tenant's keys that `madeBy` made and that are in force at the moment `now`. */
  countKeys(tenant: string, madeBy: string, now: number): Promise<number>;
  /**
   * Revokes the key. Resolves to false when it was revoked before, or does not exist. Rejects with
   * `last_admin`, and changes nothing, when it was the last key of an admin.
   */
  revokeKey(keyId: string, now: number): Promise<boolean>;
  noteUse(keyId: string, now: number): Promise<void>;
  /** The newest key of a principal that is in force at the moment `now`; undefined when it has none. */
  newestKey(principal: string, now: number): Promise<StoredKey | undefined>;
  findPrincipal(id: string): Promise<StoredPrincipal | undefined>;
  listPrincipals(tenant: string): Promise<StoredPrincipal[]>;
  /**
   * Resolves to false when there is no such principal; `added` is added first unless it exists. Rejects with
   * `last_admin` as `revokeKey` does.
   */
  setDisabled(id: string, disabled: boolean, now: number, added?: StoredPrincipal): Promise<boolean>;
  /** The number that grows with each revocation and each change of a principal. */
  version(): Promise<number>;
  /** Grows the version for a change that is not in the store. */
  countChange(): Promise<void>;
  ping(): Promise<void>;
  close(): Promise<void>;
};
