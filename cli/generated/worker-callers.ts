import { RULES } from "#common/identity/authorization.ts";

/**
 * The worker's rows of the table of who may call what, as a Python module: the worker checks its callers itself, and
 * must not judge them by other rules than the services do.
 */
export function workerCallers(): string {
  const rows = Object.entries(RULES)
    .filter(([, { service }]) => service === "worker")
    .map(([path, { callers }]) => `    "${path.split("/")[2]}": frozenset({${quoted(callers)}}),\n`);
  return `"""Who may call which RPC of a worker.

Generated from services/common/identity/authorization.ts by ./airlock generate; never edited.
"""

CALLERS: dict[str, frozenset[str]] = {
${rows.join("")}}
`;
}

function quoted(callers: readonly string[]): string {
  // A certificate of a client is that of "client/NAME", which the worker does not look for.
  if (callers.includes("client")) throw new Error("a worker takes no calls of clients");
  return callers.map((caller) => `"${caller}"`).join(", ");
}
