import { grpcClient } from "../clients/grpc.ts";
import { execute, restClient } from "../clients/rest.ts";
import type { ProjectName } from "../projects.ts";

/** The deployments of Airlock that are measured. */
export type StackName = "embedded" | "postgres" | "docker";

/** A running Airlock with all its services. */
export type Stack = {
  readonly name: StackName;
  readonly url: string;
  readonly routerAddress: string;
  /** The process id of each service; services may share a process. */
  readonly processes: Readonly<Record<string, number>>;
  /** The path of the interpreter with a project's packages. Rejects when it is in a container. */
  pythonOf(project: ProjectName): Promise<string>;
  close(): Promise<void>;
};

const WARM_UP = 20;

/** Starts a project's workers and runs some scripts, so that V8 has compiled the code that each run uses. */
export async function warmUp(stack: Stack, project: string): Promise<void> {
  const airlock = restClient(stack.url);
  const grpc = grpcClient(stack.routerAddress);
  try {
    for (let each = 0; each < WARM_UP; each++) await execute(airlock, project, "print(1)");
    await Promise.all(Array.from({ length: WARM_UP }, () => grpc.execute(project, "print(1)")));
  } finally {
    airlock.close();
    grpc.close();
  }
}
