import type { ServerResponse } from "node:http";

const actions = new WeakMap<ServerResponse, (() => void)[]>();

/**
 * Calls `action` once `response` is over, sent or broken off. All actions share one listener, because Node warns of a leak
 * when an emitter has more than ten of a kind, and a large answer that is piped brings some of its own.
 */
export function onceClosed(response: ServerResponse, action: () => void): void {
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
