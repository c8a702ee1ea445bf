import type { Edges } from "#common/grpc/edges.ts";
import { AuthorityServiceClient } from "#proto/authority.ts";
import { PoolManagerServiceClient } from "#proto/pool_manager.ts";
import { RouterServiceClient } from "#proto/router.ts";
import type { Backends } from "../backends.ts";
import { authorityOver } from "./authority.ts";
import { poolManagerOver } from "./pool-manager.ts";
import { routerOver } from "./router.ts";

/**
 * Connects the gateway to the router, the pool-manager and the authority over gRPC, on first use. The result
 * owns `edges` and closes them.
 */
export function connectBackends(
  addresses: {
    readonly routerAddress: string;
    readonly poolManagerAddress: string;
    readonly authorityAddress: string;
  },
  edges: Edges,
): Backends {
  const services = {
    router: addresses.routerAddress,
    "pool-manager": addresses.poolManagerAddress,
    authority: addresses.authorityAddress,
  } as const;
  // On a Unix socket a service knows the gateway as the user of this deployment, and takes its word.
  const onNetwork = (Object.keys(services) as (keyof typeof services)[]).filter(
    (service) => !services[service].startsWith("unix:"),
  );
  return {
    needsPasses: onNetwork.length > 0,
    router: routerOver(edges.connectTo(RouterServiceClient, addresses.routerAddress)),
    poolManager: poolManagerOver(edges.connectTo(PoolManagerServiceClient, addresses.poolManagerAddress)),
    authority: authorityOver(edges.connectTo(AuthorityServiceClient, addresses.authorityAddress), onNetwork),
    readiness: edges.deepReadiness,
    close: edges.close,
  };
}
