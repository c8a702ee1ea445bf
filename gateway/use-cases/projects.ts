import type { Project } from "#proto/pool_manager.ts";
import type { Backends } from "../backends/backends.ts";
import type { BackendCall, BackendChange } from "../backends/call.ts";

type ProjectBackends = Pick<Backends, "router" | "poolManager">;

/** `held`: the project accepts no execution; null when that cannot be told. */
export type ProjectView = Project & { readonly held: boolean | null };

export async function listProjects(backends: ProjectBackends, call: BackendCall): Promise<ProjectView[]> {
  const [projects, isHeld] = await Promise.all([
    backends.poolManager.listProjects(call),
    heldProjects(backends, call),
  ]);
  return projects.map((project) => ({ ...project, held: isHeld(project.name) }));
}

export async function getProject(
  backends: ProjectBackends,
  name: string,
  call: BackendCall,
): Promise<ProjectView> {
  const [project, isHeld] = await Promise.all([
    backends.poolManager.getProject(name, call),
    heldProjects(backends, call),
  ]);
  return { ...project, held: isHeld(name) };
}

/** Starts the project's workers, and ends a hold. `replicas` undefined: as many as the project's file says. */
export async function bringUp(
  { router, poolManager }: ProjectBackends,
  name: string,
  replicas: number | undefined,
  call: BackendChange,
): Promise<Project> {
  // First what can refuse: a project that was not brought up stays held.
  const up = await poolManager.upProject(name, replicas, call);
  await router.releaseProject(name, call);
  return up;
}

/** Stops the project's workers. `hold`: nothing is accepted until the project is brought up again. */
export async function takeDown(
  { router, poolManager }: ProjectBackends,
  name: string,
  hold: boolean,
  call: BackendChange,
): Promise<Project> {
  // First the hold, so that nothing starts the workers again.
  if (hold) await router.holdProject(name, call);
  return await poolManager.downProject(name, call);
}

/** A router that is away hides no project. */
async function heldProjects(
  { router }: ProjectBackends,
  call: BackendCall,
): Promise<(name: string) => boolean | null> {
  try {
    const held = await router.listHeldProjects(call);
    return (name) => held.includes(name);
  } catch {
    return () => null;
  }
}
