import { AirlockError } from "#common/errors.ts";
import type { AuthMode } from "#common/identity/auth-mode.ts";
import { LOCAL_PRINCIPAL, principalOfClient, TENANT } from "#common/identity/principal.ts";
import { isSessionId } from "#common/identity/session-id.ts";
import { idOf, type Proven, principalBy } from "./grants/grantee.ts";
import type { Grants } from "./grants/grants.ts";
import type { Authenticated, Keys } from "./keys/keys.ts";
import type { Sessions } from "./sessions/sessions.ts";
import type { AuthorityStore } from "./store/store.ts";
import type { Tokens } from "./tokens/tokens.ts";

export type Authentication = {
  /**
   * Says who shows a credential, an API key, the id of a session or a token; empty where the client shows none.
   * `tenant` is the one that the client asks for; undefined: the only one that it has. Rejects with
   * `unauthenticated`, `no_grant`, `tenant_required` and `issuer_unavailable`.
   */
  whose(credential: string, tenant: string | undefined): Promise<Authenticated>;
  /**
   * Says what the client certificate with this name may do, or the holder of the credential that its program
   * shows, if any. Rejects as `whose` does, unless this deployment demands no credentials.
   */
  ofClient(name: string, credential: string | undefined, tenant: string | undefined): Promise<Authenticated>;
};

type Means = {
  readonly keys: Keys;
  readonly sessions: Sessions;
  readonly tokens: Tokens;
  readonly byGrants: ByGrants;
};

const IS_KEY = /^alk_/;

/**
 * Authentication by keys, which say themselves what they may do, and by tokens, of which grants say so. With
 * `auth` off a client that shows no credential is the user of this deployment.
 */
export function createAuthentication(
  { keys, sessions, tokens, byGrants }: Means,
  auth: AuthMode,
  store: Pick<AuthorityStore, "version">,
): Authentication {
  const self: Authentication = {
    async whose(credential, tenant) {
      if (tenant !== undefined && !TENANT.test(tenant)) throw badTenant();
      if (credential === "" && auth === "off")
        return { principal: LOCAL_PRINCIPAL, expiresAtMs: undefined, version: await store.version() };
      if (IS_KEY.test(credential)) {
        const authenticated = await keys.authenticate(credential);
        refuseOtherTenant(authenticated, tenant);
        return authenticated;
      }
      if (isSessionId(credential)) {
        const authenticated = await sessions.whose(credential, tenant);
        refuseOtherTenant(authenticated, tenant);
        return authenticated;
      }
      const token = await tokens.read(credential);
      return await byGrants(token, tenant, token.expiresAtMs);
    },
    async ofClient(name, credential, tenant) {
      if (auth === "off")
        return { principal: principalOfClient(name), expiresAtMs: undefined, version: await store.version() };
      if (credential !== undefined && isSessionId(credential))
        throw new AirlockError("unauthenticated", "A session is for browsers. Show an API key or a token.");
      if (credential !== undefined) return await self.whose(credential, tenant);
      if (tenant !== undefined && !TENANT.test(tenant)) throw badTenant();
      return await byGrants({ cert: name }, tenant, undefined);
    },
  };
  return self;
}

/** Says who has proved an identity, by the grants of this moment. */
export type ByGrants = (
  proven: Proven,
  tenant: string | undefined,
  expiresAtMs: number | undefined,
) => Promise<Authenticated>;

export function createByGrants(
  grants: Pick<Grants, "of">,
  store: Pick<AuthorityStore, "findPrincipal" | "version">,
): ByGrants {
  return async (proven, tenant, expiresAtMs) => {
    // The version first: a change after it makes the gateway ask again.
    const version = await store.version();
    const principal = principalBy(await grants.of(proven), proven, tenant);
    const stored = await store.findPrincipal(idOf(proven));
    // An admin of another tenant decides nothing here.
    if (stored?.disabled && stored.tenant === principal.tenant)
      throw new AirlockError(
        "unauthenticated",
        `The principal ${principal.id} is disabled. Ask an admin to enable it.`,
      );
    return { principal, expiresAtMs, version };
  };
}

function refuseOtherTenant({ principal }: Authenticated, tenant: string | undefined): void {
  if (tenant === undefined || tenant === principal.tenant) return;
  throw new AirlockError(
    "no_grant",
    `The key is for the tenant ${principal.tenant} only. Send no Airlock-Tenant header, or that name.`,
  );
}

function badTenant(): AirlockError {
  return new AirlockError(
    "invalid_request",
    "Airlock-Tenant must be one name of 1 to 40 of a-z, 0-9 and -.",
    {
      field: "Airlock-Tenant",
    },
  );
}
