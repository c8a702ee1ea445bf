import type { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";

/** The HTTP/2 stream of a response, which Node's types of HTTP/1.1 do not know. */
type Streamed = {
  readonly stream?: EventEmitter & { readonly destroyed: boolean; readonly aborted: boolean };
};

const actions = new WeakMap<ServerResponse, (() => void)[]>();

/**
 * Calls `action` when `response` has been sent completely or its connection broke. When that has happened
 * already, `action` is called in the next round of the event loop. All actions of a response share one
 * listener, because Node warns of a leak above ten listeners of one kind, and sending a large answer adds
 * some listeners of its own.
 */
export function onceClosed(response: ServerResponse, action: () => void): void {
  if (isClosed(response)) {
    setImmediate(action);
    return;
  }
  const known = actions.get(response);
  if (known) {
    known.push(action);
    return;
  }
  const all = [action];
  actions.set(response, all);
  // Over HTTP/2 the response itself does not emit "close" when a HEAD request is broken off.
  ((response as Streamed).stream ?? response).once("close", () => {
    for (const each of all) each();
  });
}

/** Whether nothing more can be sent: the response was sent completely, or its connection broke. */
export function isClosed(response: ServerResponse): boolean {
  const { stream } = response as Streamed;
  return stream ? stream.destroyed : response.closed || response.destroyed;
}

/** Whether the whole response was handed over to the kernel, or with HTTP/2 to its stream. */
export function wasSent(response: ServerResponse): boolean {
  const { stream } = response as Streamed;
  // A stream that the client breaks off is ended by Node, and counts as finished then.
  return stream ? response.writableEnded && !stream.aborted : response.writableFinished;
}
