import type { ServerResponse } from "node:http";
import type { FastifyReply } from "fastify";
import { onceClosed } from "#common/http/response-closed.ts";

const signals = new WeakMap<ServerResponse, AbortSignal>();

/** Aborts when the client goes away before it has its answer. One for each reply, however often it is asked for. */
export function clientSignal({ raw }: FastifyReply): AbortSignal {
  const known = signals.get(raw);
  if (known) return known;
  const gone = new AbortController();
  signals.set(raw, gone.signal);
  onceClosed(raw, () => {
    if (!raw.writableFinished) gone.abort();
  });
  return gone.signal;
}
