import { AirlockError } from "#common/errors.ts";
import { callUnary } from "#common/grpc/client.ts";
import type { PoolManagerServiceClient, Project } from "#proto/pool_manager.ts";
import type { PoolManagerBackend } from "../pool-manager.ts";
import { limitsFor } from "./limits.ts";

const { read, change } = limitsFor("pool-manager");

export function poolManagerOver(client: PoolManagerServiceClient): PoolManagerBackend {
  return {
    listProjects: async (call) =>
      (await callUnary(client, client.listProjects, {}, "pool-manager", read(call))).projects,
    getProject: async (name, call) =>
      projectIn(await callUnary(client, client.getProject, { name }, "pool-manager", read(call))),
    upProject: async (name, replicas, call) =>
      projectIn(await callUnary(client, client.upProject, { name, replicas }, "pool-manager", change(call))),
    downProject: async (name, call) =>
      projectIn(await callUnary(client, client.downProject, { name }, "pool-manager", change(call))),
  };
}

function projectIn({ project }: { project: Project | undefined }): Project {
  if (project) return project;
  throw new AirlockError("internal", "The pool-manager answered without a project.");
}
