import { randomBytes, randomUUID } from "node:crypto";
import { AirlockError } from "#common/errors.ts";
import { LOCAL_PRINCIPAL } from "#common/identity/principal.ts";
import type { Grant, Key } from "#proto/authority.ts";
import { PrincipalKind, Role } from "#proto/principal.ts";
import type { AuthorityBackend } from "../authority.ts";

const USUAL_LIFE_MS = 90 * 24 * 3_600_000;

/**
 * An in-memory stand-in for the authority. The mock demands no credential, so its keys open nothing; they can
 * be made, listed and revoked as real ones.
 */
export function createMockAuthority(now: () => number = Date.now): AuthorityBackend {
  const grants = new Map<string, Grant>();
  const keys = new Map<string, Key>();
  return {
    async authenticate() {
      throw new AirlockError("unauthenticated", "The mock knows no credentials. Send none.");
    },
    async *watchChanges() {
      yield 1;
    },
    // The mock demands no credential, so it limits no requests.
    countRequests: async () => ({ counts: [] }),
    async createSession() {
      throw new AirlockError("unauthenticated", "The mock knows no credentials. Send none.");
    },
    async beginLogin() {
      throw new AirlockError("route_not_found", "The mock has no OpenID login. It demands no credential.");
    },
    async finishLogin() {
      throw new AirlockError("route_not_found", "The mock has no OpenID login. It demands no credential.");
    },
    endSession: async () => undefined,
    async createKey(request) {
      const keyId = randomBytes(8).toString("hex");
      const key: Key = {
        keyId,
        name: request.name,
        principal: request.principal || `key:${request.name}`,
        kind: request.kind || PrincipalKind.AGENT,
        role: request.role || Role.DEVELOPER,
        projects: request.projects,
        madeBy: LOCAL_PRINCIPAL.id,
        createdAtMs: now(),
        expiresAtMs:
          now() + (request.expiresInSeconds === undefined ? USUAL_LIFE_MS : request.expiresInSeconds * 1_000),
        lastUsedAtMs: undefined,
        revokedAtMs: undefined,
        rate: request.rate,
      };
      keys.set(keyId, key);
      return { key, text: `alk_${keyId}_${"mock".padEnd(43, "0")}` };
    },
    listKeys: async () => [...keys.values()].reverse(),
    async revokeKey(keyId) {
      const key = keys.get(keyId);
      if (!key)
        throw new AirlockError("key_not_found", "There is no such key. GET /keys lists those there are.");
      keys.set(keyId, { ...key, revokedAtMs: key.revokedAtMs ?? now() });
    },
    async createGrant(request) {
      const grant: Grant = {
        ...request,
        grantId: randomUUID(),
        kind: request.kind || (request.cert ? PrincipalKind.SERVICE : PrincipalKind.AGENT),
        tenant: LOCAL_PRINCIPAL.tenant,
        madeBy: LOCAL_PRINCIPAL.id,
        createdAtMs: now(),
      };
      grants.set(grant.grantId, grant);
      return grant;
    },
    listGrants: async () => [...grants.values()].reverse(),
    async deleteGrant(grantId) {
      if (!grants.delete(grantId))
        throw new AirlockError(
          "grant_not_found",
          "There is no such grant. GET /grants lists those there are.",
        );
    },
    listPrincipals: async () => [],
    async updatePrincipal(id) {
      throw new AirlockError("principal_not_found", `There is no principal ${id}. The mock has none.`);
    },
  };
}
