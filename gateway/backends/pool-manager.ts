import type { Project } from "#proto/pool_manager.ts";
import type { BackendCall, BackendChange } from "./call.ts";

/** What the gateway needs of the pool-manager. Every call rejects with an AirlockError. */
export type PoolManagerBackend = {
  listProjects(call: BackendCall): Promise<Project[]>;
  getProject(name: string, call: BackendCall): Promise<Project>;
  /** `replicas` undefined: as many as the project's file says. */
  upProject(name: string, replicas: number | undefined, call: BackendChange): Promise<Project>;
  downProject(name: string, call: BackendChange): Promise<Project>;
};
