import { parseFlags, usageError } from "./flags.ts";
import { createRestClient } from "./rest-client.ts";
import { table } from "./table.ts";

type ProjectView = {
  readonly name: string;
  readonly description?: string;
  readonly status: string;
  readonly replicas: number;
  readonly idle_workers: number;
  readonly problem?: string | null;
};

/** `./airlock projects` */
export async function listProjects(args: readonly string[]): Promise<number> {
  const { positionals } = parseFlags("projects", args, {});
  if (positionals.length > 0) throw usageError("projects", "projects takes no arguments.");
  const { projects }: { projects: ProjectView[] } = JSON.parse(
    await createRestClient(process.env).get("/projects"),
  );
  const rows = projects.map(({ name, status, replicas, idle_workers, description, problem }) => [
    name,
    status,
    String(replicas),
    String(idle_workers),
    problem ? problem.replaceAll("\n", "; ") : (description ?? ""),
  ]);
  process.stdout.write(table(["PROJECT", "STATUS", "REPLICAS", "IDLE", "DESCRIPTION"], rows));
  return 0;
}

/** `./airlock up NAME` */
export async function upProject(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseFlags("up", args, { replicas: { type: "string" } });
  const replicas = values.replicas;
  if (replicas !== undefined && !/^\d+$/.test(replicas)) {
    throw usageError("up", `--replicas must be a whole number, not "${replicas}".`);
  }
  return await change(
    "up",
    positionals,
    replicas === undefined ? "{}" : JSON.stringify({ replicas: Number(replicas) }),
  );
}

/** `./airlock down NAME` */
export async function downProject(args: readonly string[]): Promise<number> {
  return await change("down", parseFlags("down", args, {}).positionals, undefined);
}

async function change(
  action: "up" | "down",
  names: readonly string[],
  body: string | undefined,
): Promise<number> {
  const [name] = names;
  if (name === undefined || names.length > 1)
    throw usageError(action, `${action} takes the name of one project.`);
  const answer = await createRestClient(process.env).post(
    `/projects/${encodeURIComponent(name)}/${action}`,
    body,
  );
  const { status, replicas }: ProjectView = JSON.parse(answer);
  process.stdout.write(`${name} is ${status}, ${replicas} ${replicas === 1 ? "replica" : "replicas"}\n`);
  return 0;
}
