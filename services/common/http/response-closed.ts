import type { ServerResponse } from "node:http";

const actions = new WeakMap<ServerResponse, (() => void)[]>();

/**
 * Calls `action` when `response` has been sent completely or its connection broke. When that has happened
 * already, `action` is called in the next round of the event loop. All actions of a response share one
 * listener, because Node warns of a leak above ten listeners of one kind, and sending a large answer adds
 * some listeners of its own.
 */
export function onceClosed(response: ServerResponse, action: () => void): void {
  if (response.closed) {
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
  response.once("close", () => {
    for (const each of all) each();
  });
}
