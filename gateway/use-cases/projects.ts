import type { Project } from "#proto/pool_manager.ts";
import type { Backends } from "../backends/backends.ts";
import type { BackendCall, BackendChange } from "../backends/call.ts";

type ProjectBackends = Pick<Backends, "router" | "poolManager">;

/**
 * A project and whether it is held, which means that it accepts no execution; null while the router does not
 * answer.
 */
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

/**
 * Starts the project's workers and ends a hold: `replicas` workers, or as many as the project file says when
 * undefined.
 */
export async function bringUp(
  { router, poolManager }: ProjectBackends,
  name: string,
  replicas: number | undefined,
  call: BackendChange,
): Promise<Project> {
  // The pool-manager is called before the router releases the hold, because the pool-manager may refuse. The
  // project then stays held.
  const up = await poolManager.upProject(name, replicas, call);
  await router.releaseProject(name, call);
  return up;
}

/**
 * Stops the project's workers. With `hold`, the project accepts no execution until it is brought up again.
 */
export async function takeDown(
  { router, poolManager }: ProjectBackends,
  name: string,
  hold: boolean,
  call: BackendChange,
): Promise<Project> {
  // The router holds the project before the workers are stopped, so that no new execution starts them again.
  if (hold) await router.holdProject(name, call);
  return await poolManager.downProject(name, call);
}

/**
 * Asks the router which projects are held. Resolves to a function that says so for a project's name. When the
 * router does not answer, the function returns null, so that the projects are listed all the same.
 */
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
