import type { AuthorityBackend } from "../backends/authority.ts";
import type { CountStore } from "./count-store.ts";

/** Counters in the authority. */
export function authorityCounts(authority: Pick<AuthorityBackend, "countRequests">): CountStore {
  return { name: "authority", add: (counts) => authority.countRequests(counts), close: () => undefined };
}
