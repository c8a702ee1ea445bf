import { type Principal, SYSTEM_IDS } from "#common/identity/principal.ts";
import { isAtMost, type Role } from "#common/identity/roles.ts";
import type { FoundKey } from "../store/store.ts";

/** Why a key is refused. */
export type KeyProblem = "revoked" | "expired" | "disabled" | "maker_gone";

/**
 * The principal that a key stands for at the moment `now`, or why the key is refused. An agent's key ends with
 * its maker: when the maker is disabled, or has no key left. Its principal keeps the maker's role as a limit, so
 * that it loses what the maker loses. Keys of humans and services stand by themselves, because only an admin
 * makes them, and the key of the first admin must not take all others with it.
 */
export function standingOf({ key, line }: FoundKey, now: number): Principal | KeyProblem {
  if (key.revokedAtMs !== undefined) return "revoked";
  if (key.expiresAtMs !== undefined && key.expiresAtMs <= now) return "expired";
  const [own, ...makers] = line;
  if (!own || own.disabled) return "disabled";
  if (makers.some(({ disabled, highestRole }) => disabled || highestRole === undefined)) return "maker_gone";
  // A line that ends with an agent is incomplete, so nobody is known to answer for the key.
  const last = line.at(-1);
  if (last?.kind === "agent" && !last.madeBy.startsWith(SYSTEM_IDS)) return "maker_gone";
  const within = makers.map(({ highestRole }) => highestRole as Role);
  return {
    id: key.principal,
    kind: own.kind,
    tenant: key.tenant,
    role: lowest([key.role, ...within]),
    maker: own.madeBy,
    ...(within.length > 0 && { within }),
    ...(key.projects.length > 0 && { projects: key.projects }),
  };
}

function lowest(roles: readonly Role[]): Role {
  return roles.reduce((low, role) => (isAtMost(role, low) ? role : low));
}
