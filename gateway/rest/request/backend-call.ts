import type { FastifyReply } from "fastify";
import { LOCAL_PRINCIPAL, type Principal } from "#common/identity/principal.ts";
import type { BackendCall } from "../../backends/call.ts";
import { clientSignal } from "./client-signal.ts";

/** What a request's calls to the services carry. Reads take all of it, changes only the principal. */
export function backendCall(reply: FastifyReply): BackendCall {
  return { principal: principalOf(reply), signal: clientSignal(reply) };
}

/** Who sent the request. Each client is the local principal, until the authority authenticates requests. */
function principalOf(_reply: FastifyReply): Principal {
  return LOCAL_PRINCIPAL;
}
