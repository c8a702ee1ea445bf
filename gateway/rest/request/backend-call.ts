import type { FastifyReply } from "fastify";
import type { BackendCall } from "../../backends/call.ts";
import { clientSignal } from "./client-signal.ts";

/**
 * The context of a request's calls to the services: reads use the principal, its passes and the signal,
 * changes no signal.
 */
export function backendCall(reply: FastifyReply): BackendCall {
  const { principal, passes } = reply.request.access;
  return { principal, passes, signal: clientSignal(reply) };
}
