import { hasCode } from "#common/errors.ts";
import { principalToProto } from "#common/grpc/principal.ts";
import { handlersFor } from "#common/grpc/server.ts";
import type { Log } from "#common/service/log.ts";
import type { AuthorityServiceServer } from "#proto/authority.ts";
import type { Authentication, ByGrants } from "./authentication.ts";
import type { Changes } from "./changes.ts";
import { idOf } from "./grants/grantee.ts";
import type { Grants } from "./grants/grants.ts";
import type { Keys } from "./keys/keys.ts";
import {
  audienceIn,
  grantToProto,
  grantWishFromProto,
  keyToProto,
  principalStatusToProto,
  wishFromProto,
} from "./messages.ts";
import type { Passes } from "./passes/passes.ts";
import type { RequestCounts } from "./request-counts.ts";
import type { Login } from "./sessions/login.ts";
import type { Sessions } from "./sessions/sessions.ts";

export type AuthorityParts = {
  readonly authentication: Authentication;
  readonly keys: Keys;
  readonly sessions: Sessions;
  readonly login: Login;
  readonly byGrants: ByGrants;
  readonly grants: Grants;
  readonly passes: Passes;
  readonly changes: Changes;
  readonly requestCounts: RequestCounts;
};

/**
 * The gRPC handlers of the authority. Keys themselves, the text that clients show, and passes are never logged.
 */
export function authorityHandlers(
  { authentication, keys, sessions, login, byGrants, grants, passes, changes, requestCounts }: AuthorityParts,
  log: Log,
): AuthorityServiceServer {
  const { unary, serverStream } = handlersFor(log);
  return {
    authenticate: unary(async ({ credential, tenant, audiences }, { caller }) => {
      const authenticated = await authentication.whose(credential, tenant === "" ? undefined : tenant);
      const { principal } = authenticated;
      // Only the gateway makes this call; on a Unix socket no certificate says so.
      const presenter = caller.kind === "service" ? caller.name : "gateway";
      const issued = audiences.map(async (name) => {
        const audience = audienceIn(name);
        return { audience, text: await passes.issue(principal, { audience, presenter }) };
      });
      return {
        ...authenticated,
        principal: principalToProto(principal),
        passes: await Promise.all(issued),
      };
    }),
    listPassKeys: unary(async () => ({ keys: await passes.keys() })),
    watchChanges: serverStream(async function* (_request, { signal }) {
      for await (const version of changes.watch(signal)) yield { version };
    }),
    countRequests: unary(async ({ gateway, counts }) => ({
      gateways: requestCounts.gateways(gateway),
      counts: counts.map((count) => requestCounts.add(gateway, count)),
    })),
    createSession: unary(async ({ key }) => {
      const { id, authenticated } = await sessions.create(key);
      const { principal, keyId: key_id, expiresAtMs } = authenticated;
      log.info({ principal: principal.id, key_id }, "a session was made");
      return { session: id, principal: principalToProto(principal), expiresAtMs };
    }),
    beginLogin: unary(({ redirectUri }) => login.begin(redirectUri)),
    finishLogin: unary(async ({ redirectUri, secrets, query }) => {
      const token = await login.finish(redirectUri, secrets, query);
      // Nobody gets a session who has no grant. With grants in several tenants each request names one.
      await byGrants(token, undefined, undefined).catch((error: unknown) => {
        if (!hasCode(error, "tenant_required")) throw error;
      });
      const principal = idOf(token);
      const session = await sessions.createByToken(token, principal);
      log.info({ principal }, "a session was made by a login");
      return { session };
    }),
    endSession: unary(async ({ session }, { principal }) => {
      await sessions.end(session);
      log.info({ principal: principal.id }, "a session was ended");
      return {};
    }),
    resolveClient: unary(async ({ name, tenant, credential }) => {
      const shown = credential === "" ? undefined : credential;
      const { principal, version, expiresAtMs } = await authentication.ofClient(
        name,
        shown,
        tenant === "" ? undefined : tenant,
      );
      return { principal: principalToProto(principal), version, expiresAtMs };
    }),
    createKey: unary(async (request, { principal }) => {
      const { key, text } = await keys.create(principal, wishFromProto(request));
      const { keyId: key_id, role } = key;
      log.info({ key_id, principal: key.principal, role, made_by: principal.id }, "a key was made");
      return { key: keyToProto(key), text };
    }),
    listKeys: unary(async (_request, { principal }) => ({
      keys: (await keys.list(principal)).map(keyToProto),
    })),
    revokeKey: unary(async ({ keyId }, { principal }) => {
      await keys.revoke(principal, keyId);
      log.info({ key_id: keyId, revoked_by: principal.id }, "a key was revoked");
      return {};
    }),
    createGrant: unary(async (request, { principal }) => {
      const grant = await grants.create(principal, grantWishFromProto(request));
      const { grantId: grant_id, role, to } = grant;
      log.info({ grant_id, role, to, made_by: principal.id }, "a grant was made");
      return { grant: grantToProto(grant) };
    }),
    listGrants: unary(async (_request, { principal }) => ({
      grants: (await grants.list(principal)).map(grantToProto),
    })),
    deleteGrant: unary(async ({ grantId }, { principal }) => {
      await grants.remove(principal, grantId);
      log.info({ grant_id: grantId, deleted_by: principal.id }, "a grant was deleted");
      return {};
    }),
    listPrincipals: unary(async (_request, { principal }) => ({
      principals: (await keys.listPrincipals(principal)).map(principalStatusToProto),
    })),
    updatePrincipal: unary(async ({ id, disabled }, { principal }) => {
      const changed = await keys.setDisabled(principal, id, disabled);
      log.info({ principal: id, disabled, changed_by: principal.id }, "a principal was changed");
      return { principal: principalStatusToProto(changed) };
    }),
  };
}
