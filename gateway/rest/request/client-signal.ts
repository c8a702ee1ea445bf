import type { ServerResponse } from "node:http";
import type { FastifyReply } from "fastify";
import { onceClosed, wasSent } from "#common/http/response-closed.ts";

const signals = new WeakMap<ServerResponse, AbortSignal>();

/**
 * A signal that aborts when the client disconnects before its answer was sent. Repeated calls for a reply
 * return the same signal.
 */
export function clientSignal({ raw }: FastifyReply): AbortSignal {
  const known = signals.get(raw);
  if (known) return known;
  const gone = new AbortController();
  signals.set(raw, gone.signal);
  onceClosed(raw, () => {
    if (!wasSent(raw)) gone.abort();
  });
  return gone.signal;
}
