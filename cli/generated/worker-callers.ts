import { RULES } from "#common/identity/authorization.ts";

/**
 * The authorization table of the worker's methods, as a Python module. It is generated because the worker
 * checks its callers itself and must use the same rules as the services.
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
  // The worker compares a caller only with the names of services. A client's identity is "client/NAME", so
  // the worker could not recognise it.
  if (callers.includes("client")) throw new Error("a worker takes no calls of clients");
  return callers.map((caller) => `"${caller}"`).join(", ");
}
