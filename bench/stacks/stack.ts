import { grpcClient } from "../clients/grpc.ts";
import { httpClient } from "../clients/http.ts";
import { execute } from "../clients/rest.ts";
import type { ProjectName } from "../projects.ts";

/** A way to run Airlock that is measured. */
export type StackName = "embedded" | "postgres" | "docker";

/** All of Airlock, started. */
export type Stack = {
  readonly name: StackName;
  readonly url: string;
  readonly routerAddress: string;
  /** Which process each service is in; several may share one. */
  readonly processes: Readonly<Record<string, number>>;
  /** The interpreter with a project's packages, where it is on this machine. */
  pythonOf(project: ProjectName): Promise<string>;
  close(): Promise<void>;
};

const WARM_UP = 20;

/** Starts a project's workers, and lets the code that each run goes through become fast. */
export async function warmUp(stack: Stack, project: string): Promise<void> {
  const http = httpClient(stack.url);
  const grpc = grpcClient(stack.routerAddress);
  try {
    for (let each = 0; each < WARM_UP; each++) await execute(http, project, "print(1)");
    await Promise.all(Array.from({ length: WARM_UP }, () => grpc.execute(project, "print(1)")));
  } finally {
    http.close();
    grpc.close();
  }
}
