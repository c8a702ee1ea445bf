import { type Floor, startContainerFloor, startFloor } from "./floor.ts";
import { DISTRIBUTIONS, type ProjectName } from "./projects.ts";
import { dockerProject, type Runtime, workerContainer } from "./stacks/docker.ts";
import { type Stack, type StackName, warmUp } from "./stacks/stack.ts";

/** A project with warm workers on one stack, and the bare fork that it is compared with. */
export type Pool = {
  readonly stack: Stack;
  /** The project's name on this stack. */
  readonly project: string;
  readonly kind: ProjectName;
  /** The name of the stack and runtime in the table. */
  readonly where: string;
  readonly floor: { readonly name: string; readonly fork: Floor };
  close(): Promise<void>;
};

/** The names of a pool and its floor in the table. */
export function poolNames(stack: Exclude<StackName, "docker"> | Runtime, kind: ProjectName) {
  const machine = {
    embedded: "embedded",
    postgres: "PostgreSQL",
    runc: "Docker, runc",
    runsc: "Docker, gVisor",
  }[stack];
  const packages = kind === "pandas" ? ", pandas" : "";
  const inside = { embedded: "", postgres: "", runc: " in runc", runsc: " in gVisor" }[stack];
  return { where: `${machine}${packages}`, floor: `fork${inside}${packages}` };
}

export async function openPool(
  stack: Stack & { readonly name: Exclude<StackName, "docker"> },
  kind: ProjectName,
): Promise<Pool> {
  await warmUp(stack, kind);
  const fork = await startFloor(await stack.pythonOf(kind), DISTRIBUTIONS[kind]);
  const { where, floor } = poolNames(stack.name, kind);
  return { stack, project: kind, kind, where, floor: { name: floor, fork }, close: fork.close };
}

export async function openContainerPool(stack: Stack, kind: ProjectName, runtime: Runtime): Promise<Pool> {
  const project = dockerProject(kind, runtime);
  await warmUp(stack, project);
  const { image, runArguments } = await workerContainer(project);
  const fork = await startContainerFloor(image, runArguments, DISTRIBUTIONS[kind]);
  const { where, floor } = poolNames(runtime, kind);
  return { stack, project, kind, where, floor: { name: floor, fork }, close: fork.close };
}
