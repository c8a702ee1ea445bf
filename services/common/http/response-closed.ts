import type { ServerResponse } from "node:http";

const actions = new WeakMap<ServerResponse, (() => void)[]>();

/**
 * Calls `action` when `response` has been sent or was broken off; soon, when that has happened before. All actions share one listener, because
 * Node warns of a leak above ten listeners of a kind, and piping a large answer adds some of its own.
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
