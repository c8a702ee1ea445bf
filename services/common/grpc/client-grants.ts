import { createHash } from "node:crypto";
import { AuthorityServiceClient } from "#proto/authority.ts";
import { AirlockError } from "../errors.ts";
import { type Answer, type KeptAnswers, keepAnswers } from "../identity/kept-answers.ts";
import type { Principal } from "../identity/principal.ts";
import type { Clock } from "../resilience/clock.ts";
import { callStream, callUnary } from "./client.ts";
import type { Edges } from "./edges.ts";
import { principalFromProto } from "./principal.ts";

// Milliseconds within which the authority must say what a certificate may do. Short, because the call waits.
const RESOLVE_MS = 2_000;
// Milliseconds after which the stream of changes is opened anew, so that each authority gets its share of
// services again after a restart.
const WATCH_MS = 10 * 60_000;

/** Says for which principal a program of the operator calls. */
export type ClientGrants = {
  /**
   * The principal of the program whose certificate has this name: that of the certificate, or of the credential
   * that the program shows. At once when it is known, else a promise. Rejects as the authority does, and with
   * `unavailable`.
   */
  principalOf(name: string, shown: Shown): Principal | Promise<Principal>;
  close(): void;
};

/** What a program sends with a call, besides its certificate. */
export type Shown = {
  /** A key or a token; undefined: the certificate says who the program is. */
  readonly credential: string | undefined;
  /** The tenant that it asks for; undefined: the only one that it has a grant in. */
  readonly tenant: string | undefined;
};

type Resolved = Answer & { readonly principal: Principal };

/**
 * Asks the authority about client certificates, and keeps its answers as a gateway does. Undefined for a service
 * that listens on a Unix socket, where no caller has a certificate.
 */
export function openClientGrants(
  { listen, authorityAddress }: { readonly listen: string; readonly authorityAddress?: string | undefined },
  edges: Edges,
  clock: Clock,
): ClientGrants | undefined {
  if (listen.startsWith("unix:") || authorityAddress === undefined) return undefined;
  const authority = edges.connectTo(AuthorityServiceClient, authorityAddress);
  const watch = async function* (signal: AbortSignal) {
    const limits = { timeoutMs: WATCH_MS, signal };
    for await (const { version } of callStream(authority, authority.watchChanges, {}, "authority", limits))
      yield version;
  };
  const ask = async (name: string, { credential = "", tenant = "" }: Shown): Promise<Resolved> => {
    const limits = { timeoutMs: RESOLVE_MS };
    const request = { name, tenant, credential };
    const answer = await callUnary(authority, authority.resolveClient, request, "authority", limits);
    const principal = answer.principal && principalFromProto(answer.principal);
    if (!principal) throw new AirlockError("internal", "The authority answered without a principal.");
    return { principal, version: answer.version, expiresAtMs: answer.expiresAtMs };
  };
  // Opened by the first program that calls, because most deployments have none.
  let kept: KeptAnswers<Resolved> | undefined;
  return {
    principalOf(name, shown) {
      kept ??= keepAnswers<Resolved>(watch, clock);
      const { credential = "", tenant = "" } = shown;
      // By a hash, so that a heap dump shows no credential for long.
      const id = createHash("sha256").update(`${name}\n${tenant}\n${credential}`).digest("base64");
      const answer = kept.get(id, () => ask(name, shown));
      return answer instanceof Promise ? answer.then(({ principal }) => principal) : answer.principal;
    },
    close: () => kept?.close(),
  };
}
