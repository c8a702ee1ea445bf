import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import { handlersFor } from "#common/grpc/server.ts";
import { refuseOtherProjects } from "#common/identity/project-limit.ts";
import type { Log } from "#common/service/log.ts";
import type { PoolManagerServiceServer } from "#proto/pool_manager.ts";
import type { Dependency } from "#proto/readiness.ts";
import { serveLease } from "./lease-handler.ts";
import { toProjectMessage } from "./messages.ts";
import type { Pools } from "./pool/pools.ts";

/**
 * The gRPC handlers of PoolManagerService. They translate messages for `pools` and contain no rules of their
 * own.
 */
export function createHandlers(
  pools: Pools,
  readiness: () => Promise<Dependency[]>,
  log: Log,
): UntypedServiceImplementation {
  const { unary, duplex } = handlersFor(log);
  const show = async (name: string) => ({ project: toProjectMessage(await pools.find(name)) });
  const service: PoolManagerServiceServer = {
    listProjects: unary(async () => ({ projects: (await pools.list()).map(toProjectMessage) })),
    getProject: unary(({ name }) => show(name)),
    upProject: unary(async ({ name, replicas }, { principal }) => {
      refuseOtherProjects(principal, name);
      return { project: toProjectMessage(await pools.up(name, replicas)) };
    }),
    downProject: unary(async ({ name }, { principal }) => {
      refuseOtherProjects(principal, name);
      return { project: toProjectMessage(await pools.down(name)) };
    }),
    getWaiting: unary(async ({ project, executionId }) => ({
      waiting: await pools.waiting(project, executionId),
    })),
    lease: duplex((stream, context) => serveLease(stream, context, pools)),
    getPoolManagerReadiness: unary(async () => ({ dependencies: await readiness() })),
  };
  return service;
}
