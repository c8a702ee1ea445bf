import type { FastifyReply } from "fastify";
import { LOCAL_PRINCIPAL, type Principal } from "#common/identity/principal.ts";
import type { BackendCall } from "../../backends/call.ts";
import { clientSignal } from "./client-signal.ts";

/**
 * The context of a request's calls to the services: reads use the principal and the signal, changes only the
 * principal.
 */
export function backendCall(reply: FastifyReply): BackendCall {
  return { principal: principalOf(reply), signal: clientSignal(reply) };
}

/**
 * The principal who sent the request. Until requests are authenticated, every client is the local principal.
 */
function principalOf(_reply: FastifyReply): Principal {
  return LOCAL_PRINCIPAL;
}
