import type { Project } from "#proto/pool_manager.ts";
import type { BackendCall, BackendChange } from "./call.ts";

/** The calls that the gateway makes to the pool-manager. Every call rejects with an AirlockError. */
export type PoolManagerBackend = {
  listProjects(call: BackendCall): Promise<Project[]>;
  getProject(name: string, call: BackendCall): Promise<Project>;
  /** Starts the project's workers: `replicas` of them, or as many as the project file says when undefined. */
  upProject(name: string, replicas: number | undefined, call: BackendChange): Promise<Project>;
  downProject(name: string, call: BackendChange): Promise<Project>;
};
