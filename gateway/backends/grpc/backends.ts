import type { Edges } from "#common/grpc/edges.ts";
import { PoolManagerServiceClient } from "#proto/pool_manager.ts";
import { RouterServiceClient } from "#proto/router.ts";
import type { Backends } from "../backends.ts";
import { poolManagerOver } from "./pool-manager.ts";
import { routerOver } from "./router.ts";

/** The services behind the gateway, over gRPC. Connects on first use, and owns `edges` from here. */
export function connectBackends(
  addresses: { readonly routerAddress: string; readonly poolManagerAddress: string },
  edges: Edges,
): Backends {
  return {
    router: routerOver(edges.connect(RouterServiceClient, addresses.routerAddress)),
    poolManager: poolManagerOver(edges.connect(PoolManagerServiceClient, addresses.poolManagerAddress)),
    readiness: edges.deepReadiness,
    close: edges.close,
  };
}
