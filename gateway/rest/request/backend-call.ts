import type { FastifyReply } from "fastify";
import type { BackendCall } from "../../backends/call.ts";
import { clientSignal } from "./client-signal.ts";

/**
 * The context of a request's calls to the services: reads use the principal and the signal, changes only the
 * principal.
 */
export function backendCall(reply: FastifyReply): BackendCall {
  return { principal: reply.request.access.principal, signal: clientSignal(reply) };
}
