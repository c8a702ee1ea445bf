import { createHash, timingSafeEqual } from "node:crypto";
import { ownerOf } from "#common/event-loop/turn.ts";
import type { IpRange } from "#common/ip-range.ts";
import type { ProjectNetwork } from "#common/projects/network.ts";
import type { Placeholder } from "../brokered/placeholders.ts";
import type { ResponseFilter } from "../brokered/response-filter.ts";
import { permittedAddresses } from "../policy/address-policy.ts";
import type { RunMarks } from "./run-marks.ts";
import { Traffic } from "./traffic.ts";

/**
 * The network route of one run: the hosts and addresses that its script may reach through the egress service,
 * and its credentials, placeholders and traffic.
 */
export type Route = {
  readonly project: string;
  readonly executionId: string;
  readonly network: ProjectNetwork;
  /** The addresses that the project permits although they are not public. */
  readonly permitted: readonly IpRange[];
  readonly placeholders: readonly Placeholder[];
  /**
   * The search for secrets in responses, by the host that gets these secrets. Responses of other hosts are
   * not searched.
   */
  readonly filters: ReadonlyMap<string, ResponseFilter>;
  readonly traffic: Traffic;
  /** Aborts when the route is closed. All lookups and connections of its run then end. */
  readonly over: AbortSignal;
  /**
   * Whether the value of a Proxy-Authorization header (`Basic …`) holds the credentials of this route; false
   * for undefined.
   */
  admits(authorization: string | undefined): boolean;
};

export type NewRoute = Pick<Route, "project" | "executionId" | "network" | "placeholders" | "filters">;

/** Makes the network route of a run. Its proxy then serves only requests with these credentials. */
export function createRoute(
  parts: NewRoute,
  { username, password }: Pick<RunMarks, "username" | "password">,
): {
  readonly route: Route;
  /** Closes the route, and with it all lookups and connections of its run. */
  close(): void;
} {
  const over = new AbortController();
  const expected = digestOf(`${username}:${password}`);
  const route: Route = {
    ...parts,
    permitted: permittedAddresses(parts.network.allowPrivate),
    traffic: new Traffic(parts.network.maxBytes, ownerOf(parts.project)),
    over: over.signal,
    admits(authorization) {
      const encoded = /^basic ([A-Za-z0-9+/=]+)$/i.exec(authorization ?? "")?.[1] ?? "";
      return timingSafeEqual(expected, digestOf(Buffer.from(encoded, "base64").toString("latin1")));
    },
  };
  return {
    route,
    close: () => over.abort(Object.assign(new Error("the run is over"), { code: "ECANCELED" })),
  };
}

function digestOf(credentials: string): Buffer {
  return createHash("sha256").update(credentials).digest();
}
