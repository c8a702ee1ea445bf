import { AirlockError, asAirlockError } from "#common/errors.ts";
import { isSameSecret, KEY_LIMITS, makeApiKey, readApiKey } from "#common/identity/api-key.ts";
import { CLIENT_NAME } from "#common/identity/identity.ts";
import { type Principal, SYSTEM_IDS } from "#common/identity/principal.ts";
import { MAX_RATE, RATE_LIMITS } from "#common/identity/rate-limits.ts";
import { has, isAtMost, type PrincipalKind, ROLES, type Role } from "#common/identity/roles.ts";
import type { Clock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import { isByGrants, type Makers } from "../grants/makers.ts";
import type { AuthorityStore, FoundKey, StoredKey, StoredPrincipal } from "../store/store.ts";
import { type KeyProblem, standingOf } from "./standing.ts";

const DAY_S = 24 * 3_600;
const USUAL_LIFE_S = 90 * DAY_S;
// Most keys in force of one maker that is no admin. A list shows 1,000 keys, and must show those of others, too.
const MAX_KEYS = 100;
// A key's last use is written at most once in this time, because every request would write otherwise.
const NOTE_USE_EVERY_MS = 60_000;

/**
 * What a client asks for when it makes a key. Undefined fields, and `projects` that are empty, get those of the
 * principal's newest key that is in force, and without one the defaults.
 */
export type KeyWish = {
  readonly name: string;
  readonly kind: PrincipalKind | undefined;
  readonly role: Role | undefined;
  readonly projects: readonly string[];
  readonly expiresInSeconds: number | undefined;
  /** The changes a minute that the key allows; undefined: as many as its role. */
  readonly rate: number | undefined;
  /** The id of an existing principal, for one more key; undefined: a new principal with the key's name. */
  readonly principal: string | undefined;
};

/** Who shows a credential. */
export type Authenticated = {
  readonly principal: Principal;
  /** When the key ends; undefined: never. */
  readonly expiresAtMs: number | undefined;
  /** The version of changes for which this holds. */
  readonly version: number;
  /** The changes a minute that the key itself allows; undefined: as many as its role. */
  readonly rate?: number | undefined;
};

export type AuthenticatedByKey = Authenticated & { readonly keyId: string };

export type Keys = {
  /** Says who shows the key. Rejects with `unauthenticated` when it proves nothing. */
  authenticate(credential: string): Promise<AuthenticatedByKey>;
  /** Says for whom the key with this id stands. Rejects with `unauthenticated` when it has ended. */
  authenticateById(keyId: string): Promise<AuthenticatedByKey>;
  /** Makes a key for `maker`. `text` is the whole key, which is nowhere else. */
  create(maker: Principal, wish: KeyWish): Promise<{ key: StoredKey; text: string }>;
  list(viewer: Principal): Promise<StoredKey[]>;
  revoke(revoker: Principal, keyId: string): Promise<void>;
  listPrincipals(viewer: Principal): Promise<StoredPrincipal[]>;
  /** Disables a principal, or enables it again. */
  setDisabled(admin: Principal, id: string, disabled: boolean): Promise<StoredPrincipal>;
};

/** `rateLimits` are the changes a minute of each role. */
export function createKeys(
  store: AuthorityStore,
  makers: Makers,
  clock: Clock,
  log: Log,
  rateLimits: Readonly<Record<Role, number>> = RATE_LIMITS,
): Keys {
  const noteUse = async ({ keyId, lastUsedAtMs }: StoredKey) => {
    const now = clock.now();
    if (lastUsedAtMs !== undefined && now - lastUsedAtMs < NOTE_USE_EVERY_MS) return;
    await store.noteUse(keyId, now);
  };
  const standing = async (found: FoundKey): Promise<AuthenticatedByKey> => {
    const principal = standingOf(await makers.complete(found), clock.now());
    if (typeof principal === "string") throw refusedCredential(PROBLEMS[principal]);
    // A key that is in force must not be refused because the disk is full.
    await noteUse(found.key).catch((error: unknown) =>
      log.warn({ reason: asAirlockError(error).message }, "the last use of a key could not be stored"),
    );
    const { keyId, expiresAtMs, rate } = found.key;
    return { principal, keyId, expiresAtMs, version: found.version, rate };
  };
  return {
    async authenticate(credential) {
      const shown = readApiKey(credential);
      if (!shown) throw refusedCredential("The credential is not an API key of Airlock (alk_...).");
      const found = await store.findKey(shown.id, clock.now());
      if (!found || !isSameSecret(found.key.secretSha256, shown.secretSha256))
        throw refusedCredential("The key is none of this deployment.");
      return await standing(found);
    },

    async authenticateById(keyId) {
      const found = await store.findKey(keyId, clock.now());
      if (!found) throw refusedCredential("The key is none of this deployment.");
      return await standing(found);
    },

    async create(maker, wish) {
      const createdAtMs = clock.now();
      const { name } = wish;
      refuseBadWish(wish);
      const existing = wish.principal === undefined ? undefined : await store.findPrincipal(wish.principal);
      if (wish.principal !== undefined && (!existing || !isManagedBy(existing, maker)))
        throw noPrincipal(wish.principal);
      // A key that replaces another one allows no more than that did, unless the maker says so.
      const earlier = existing && (await store.newestKey(existing.id, createdAtMs));
      const kind = wish.kind ?? "agent";
      const role = wish.role ?? earlier?.role ?? "developer";
      const rate = wish.rate ?? earlier?.rate;
      refuseTooHigh(maker, kind, role);
      refuseTooFast(maker, rate, rateLimits[maker.role]);
      if (kind === "agent" && isByGrants(maker.id) && !(await makers.named(maker.id, maker.tenant)))
        throw byClaimOnly(maker);
      if (
        !has(maker, "key.manage_all") &&
        (await store.countKeys(maker.tenant, maker.id, createdAtMs)) >= MAX_KEYS
      )
        throw tooManyKeys();
      const wanted = wish.projects.length > 0 ? wish.projects : (earlier?.projects ?? []);
      const projects = projectsWithin(maker, wanted);
      const principal = wish.principal ?? `key:${name}`;
      if (existing && existing.kind !== kind) {
        throw new AirlockError(
          "principal_exists",
          `The principal ${existing.id} is of kind ${existing.kind}; ask for a key of that kind.`,
          { field: "kind" },
        );
      }
      const made = makeApiKey();
      const key: StoredKey = {
        keyId: made.id,
        secretSha256: made.secretSha256,
        name,
        principal,
        kind,
        tenant: maker.tenant,
        role,
        projects,
        rate,
        madeBy: maker.id,
        createdAtMs,
        expiresAtMs: createdAtMs + (wish.expiresInSeconds ?? USUAL_LIFE_S) * 1_000,
        lastUsedAtMs: undefined,
        revokedAtMs: undefined,
      };
      const added = await store.addKey(
        key,
        existing
          ? undefined
          : { id: principal, kind, tenant: maker.tenant, madeBy: maker.id, disabled: false, createdAtMs },
      );
      if (!added) {
        throw new AirlockError(
          "principal_exists",
          `There is a principal ${principal} already. Take another name, or give "principal": "${principal}" for one more key of it.`,
          { field: "name" },
        );
      }
      return { key, text: made.text };
    },

    list: (viewer) =>
      store.listKeys(viewer.tenant, has(viewer, "key.manage_all") ? undefined : viewer.id, clock.now()),

    async revoke(revoker, keyId) {
      const found = await store.findKey(keyId, clock.now());
      if (!found || found.key.tenant !== revoker.tenant || !mayRevoke(revoker, found.key))
        throw new AirlockError(
          "key_not_found",
          "There is no such key that you may see. GET /keys lists yours.",
        );
      await store.revokeKey(keyId, clock.now());
    },

    listPrincipals: (viewer) => store.listPrincipals(viewer.tenant),

    async setDisabled(admin, id, disabled) {
      const known = await store.findPrincipal(id);
      // A principal of a token or a certificate has no row until it is disabled.
      const { tenant } = admin;
      const first: StoredPrincipal | undefined = isByGrants(id)
        ? { id, kind: "service", tenant, madeBy: admin.id, disabled, createdAtMs: clock.now() }
        : undefined;
      const existing = known ?? first;
      if (existing?.tenant !== tenant) throw noPrincipal(id);
      if (disabled && id === admin.id) {
        throw new AirlockError(
          "invalid_request",
          "A principal cannot disable itself, because the last admin could lock everybody out. Use the key of another admin.",
        );
      }
      await store.setDisabled(id, disabled, clock.now(), known ? undefined : first);
      return { ...existing, disabled };
    },
  };
}

const PROBLEMS: Readonly<Record<KeyProblem, string>> = {
  revoked: "The key has been revoked.",
  expired: "The key has expired.",
  disabled: "The key's principal is disabled.",
  maker_gone: "The principal that made the key is disabled or has no key any more.",
};

function refusedCredential(reason: string): AirlockError {
  return new AirlockError("unauthenticated", `${reason} Ask the operator for a key that is in force.`);
}

function noPrincipal(id: string): AirlockError {
  return new AirlockError(
    "principal_not_found",
    `There is no principal ${id} for which you may make keys. GET /keys lists those that you made.`,
    { field: "principal" },
  );
}

function tooManyKeys(): AirlockError {
  return new AirlockError(
    "invalid_request",
    `You have made ${MAX_KEYS} keys that are in force, the most that one principal may have made. Revoke some (GET /keys lists them), or ask an admin for the key.`,
  );
}

function byClaimOnly({ id }: Principal): AirlockError {
  return denied(
    `You are ${id} by a claim of your token, which nothing shows when an agent uses its key. Ask an admin for a grant for your subject ("sub"), or for the key.`,
  );
}

function refuseBadWish({ name, projects, expiresInSeconds, rate }: KeyWish): void {
  if (!CLIENT_NAME.test(name))
    throw invalid("name", "must be 1 to 63 of a-z, 0-9 and -, and begin and end with a letter or digit");
  if (projects.length > KEY_LIMITS.projects || projects.some((project) => project === ""))
    throw invalid("projects", `must be at most ${KEY_LIMITS.projects} names`);
  if (expiresInSeconds !== undefined && !isWithin(expiresInSeconds, 1, KEY_LIMITS.lifeSeconds))
    throw invalid("expires_in", `must be from 1 to ${KEY_LIMITS.lifeSeconds} seconds (366 days)`);
  if (rate !== undefined && !isWithin(rate, 1, MAX_RATE))
    throw invalid("rate", `must be from 1 to ${MAX_RATE} requests a minute`);
}

function invalid(field: string, message: string): AirlockError {
  return new AirlockError("invalid_request", `"${field}" ${message}.`, { field });
}

function isWithin(value: number, low: number, high: number): boolean {
  return Number.isSafeInteger(value) && value >= low && value <= high;
}

/** Refuses a key that may do more than its maker, or that only an admin may make. */
function refuseTooHigh(maker: Principal, kind: PrincipalKind, role: Role): void {
  const isFree = has(maker, "key.manage_all");
  if (!isFree && !has(maker, "key.manage")) throw denied(`${maker.id} (${maker.role}) may make no keys.`);
  if (!isFree && kind !== "agent")
    throw denied(`${maker.id} (${maker.role}) may make keys of agents only, not of a ${kind}; an admin may.`);
  const limit: Role = isFree ? "admin" : "developer";
  if (role === "anonymous" || !isAtMost(role, limit) || !isAtMost(role, maker.role)) {
    const allowed = ROLES.filter(
      (each) => each !== "anonymous" && isAtMost(each, limit) && isAtMost(each, maker.role),
    );
    throw denied(`${maker.id} (${maker.role}) may make keys with the role ${allowed.join(" or ")} only.`);
  }
}

/** Refuses a key that allows more requests than its maker's role, because only an admin may decide that. */
function refuseTooFast(maker: Principal, rate: number | undefined, limit: number): void {
  if (rate === undefined || rate <= limit || has(maker, "key.manage_all")) return;
  throw denied(
    `${maker.id} (${maker.role}) may make keys with a rate of at most ${limit} requests a minute; an admin may give more.`,
  );
}

/**
 * The projects of a new key: those that were asked for, or all that the maker's own credential is limited to.
 * Refuses a project beyond that limit, because a limited key could make itself an unlimited one.
 */
function projectsWithin(maker: Principal, wanted: readonly string[]): readonly string[] {
  const limit = maker.projects;
  if (!limit) return wanted;
  const beyond = wanted.find((project) => !limit.includes(project));
  if (beyond !== undefined)
    throw denied(`Your key is for these projects only: ${limit.join(", ")}. Ask for a key for some of them.`);
  return wanted.length > 0 ? wanted : limit;
}

function denied(message: string): AirlockError {
  return new AirlockError("permission_denied", message);
}

function isManagedBy(principal: StoredPrincipal, manager: Principal): boolean {
  if (principal.tenant !== manager.tenant || principal.id.startsWith(SYSTEM_IDS)) return false;
  // Its tokens or its certificate say who it is, and grants what it may do.
  if (isByGrants(principal.id)) return false;
  return principal.madeBy === manager.id || has(manager, "key.manage_all");
}

/** A key may be revoked by its maker, by an admin, and by its own principal, which may have lost it. */
function mayRevoke(revoker: Principal, key: StoredKey): boolean {
  return has(revoker, "key.manage_all") || key.madeBy === revoker.id || key.principal === revoker.id;
}
