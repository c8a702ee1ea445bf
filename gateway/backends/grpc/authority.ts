import { randomUUID } from "node:crypto";
import { AirlockError } from "#common/errors.ts";
import { callStream, callUnary } from "#common/grpc/client.ts";
import { principalFromProto } from "#common/grpc/principal.ts";
import type { ServiceIdentity } from "#common/identity/identity.ts";
import type { AuthorityServiceClient, RequestCount } from "#proto/authority.ts";
import type { AuthorityBackend, Count } from "../authority.ts";
import type { Passes } from "../call.ts";
import { limitsFor } from "./limits.ts";

const { read, change } = limitsFor("authority");

// Milliseconds within which the authority must say whose a credential is. Short, because the request waits.
const AUTHENTICATE_MS = 2_000;
// Milliseconds after which a call that counts requests is given up; the requests wait a shorter time for it.
const COUNT_MS = 2_000;
// Milliseconds within which the authority must have asked the OpenID provider, three times at most.
const LOGIN_MS = 16_000;
// Milliseconds after which the stream of changes is opened anew, so that each authority gets its share of
// gateways again after a restart.
const WATCH_MS = 10 * 60_000;

/** Calls the authority. `onNetwork`: the services for which the gateway needs passes. */
export function authorityOver(
  client: AuthorityServiceClient,
  onNetwork: readonly ServiceIdentity[],
): AuthorityBackend {
  const audiences = [...onNetwork];
  const gateway = randomUUID();
  return {
    async authenticate(credential, tenant = "") {
      const limits = { timeoutMs: AUTHENTICATE_MS };
      const request = { credential, tenant, audiences };
      const response = await callUnary(client, client.authenticate, request, "authority", limits);
      const principal = response.principal && principalFromProto(response.principal);
      if (!principal) throw incomplete("principal");
      const { expiresAtMs, version, rate } = response;
      if (audiences.length === 0) return { principal, expiresAtMs, version, rate };
      const passes: Passes = Object.fromEntries(
        response.passes.map(({ audience, text }) => [audience, text]),
      );
      return { principal, expiresAtMs, version, rate, passes };
    },
    async *watchChanges(signal) {
      const limits = { timeoutMs: WATCH_MS, signal };
      for await (const { version } of callStream(client, client.watchChanges, {}, "authority", limits))
        yield version;
    },
    async countRequests(counts) {
      const limits = { timeoutMs: COUNT_MS };
      const request = { gateway, counts: counts.map(countToProto) };
      const response = await callUnary(client, client.countRequests, request, "authority", limits);
      if (response.counts.length !== counts.length) throw incomplete("count");
      return response;
    },
    async createSession(key, call) {
      const request = { key };
      const response = await callUnary(client, client.createSession, request, "authority", change(call));
      const principal = response.principal && principalFromProto(response.principal);
      if (!principal) throw incomplete("principal");
      return { id: response.session, principal, expiresAtMs: response.expiresAtMs };
    },
    beginLogin: (redirectUri) =>
      callUnary(client, client.beginLogin, { redirectUri }, "authority", { timeoutMs: LOGIN_MS }),
    async finishLogin(redirectUri, secrets, query) {
      const request = { redirectUri, secrets, query };
      const limits = { timeoutMs: LOGIN_MS };
      return (await callUnary(client, client.finishLogin, request, "authority", limits)).session;
    },
    endSession: async (session, call) =>
      void (await callUnary(client, client.endSession, { session }, "authority", change(call))),
    createKey: (request, call) => callUnary(client, client.createKey, request, "authority", change(call)),
    listKeys: async (call) => (await callUnary(client, client.listKeys, {}, "authority", read(call))).keys,
    revokeKey: async (keyId, call) =>
      void (await callUnary(client, client.revokeKey, { keyId }, "authority", change(call))),
    async createGrant(request, call) {
      const { grant } = await callUnary(client, client.createGrant, request, "authority", change(call));
      if (!grant) throw incomplete("grant");
      return grant;
    },
    listGrants: async (call) =>
      (await callUnary(client, client.listGrants, {}, "authority", read(call))).grants,
    deleteGrant: async (grantId, call) =>
      void (await callUnary(client, client.deleteGrant, { grantId }, "authority", change(call))),
    listPrincipals: async (call) =>
      (await callUnary(client, client.listPrincipals, {}, "authority", read(call))).principals,
    async updatePrincipal(id, disabled, call) {
      const request = { id, disabled };
      const { principal } = await callUnary(
        client,
        client.updatePrincipal,
        request,
        "authority",
        change(call),
      );
      if (!principal) throw incomplete("principal");
      return principal;
    },
  };
}

function countToProto({ counter, requests, windowMs, own: ownRequests, known }: Count): RequestCount {
  const { requests: knownRequests, endsInMs: knownEndsInMs } = known;
  return { counter, requests, windowMs, ownRequests, knownRequests, knownEndsInMs };
}

function incomplete(what: string): AirlockError {
  return new AirlockError("internal", `The authority answered without a ${what}.`);
}
