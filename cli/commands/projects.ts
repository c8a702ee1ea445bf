import { setTimeout as sleep } from "node:timers/promises";
import type { Airlock } from "#sdk/airlock.ts";
import type { Project, ProjectState, ProjectSummary } from "#sdk/projects.ts";
import { connect } from "../client/connect.ts";
import { parseFlags, usageError } from "../flags.ts";
import { table } from "../terminal/table.ts";
import { forOutput, quoted } from "../terminal/terminal.ts";

const POLL_MS = 300;

/** `./airlock projects` lists the projects. */
export async function listProjects(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseFlags("projects", args, {
    json: { type: "boolean", default: false },
  });
  if (positionals.length > 0) throw usageError("projects", "projects takes no arguments.");
  const projects = await connect(process.env).projects.list();
  if (values.json) {
    process.stdout.write(`${forOutput(JSON.stringify({ projects }))}\n`);
    return 0;
  }
  const rows = projects.map((project) => [
    project.name,
    statusOf(project),
    String(project.replicas),
    String(project.idle_workers),
    remarkOn(project),
  ]);
  process.stdout.write(
    table(["PROJECT", "STATUS", "REPLICAS", "IDLE", "DESCRIPTION, OR WHAT IS WRONG"], rows),
  );
  return 0;
}

function statusOf({ problem, held, status }: ProjectSummary): string {
  if (problem) return "broken";
  return held ? "held" : status;
}

function remarkOn({ problem, detail, description }: ProjectSummary): string {
  return (problem || detail || description).replaceAll(/\s*\n\s*/g, "; ");
}

/** `./airlock up NAME` starts a project's workers and waits until one is ready, or prints why none is. */
export async function upProject(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseFlags("up", args, { replicas: { type: "string" } });
  const replicas = values.replicas;
  if (replicas !== undefined && !/^[1-9]\d*$/.test(replicas)) {
    const other = replicas === "0" ? " To stop the project use ./airlock down NAME." : "";
    throw usageError("up", `--replicas must be a whole number above 0, not "${replicas}".${other}`);
  }
  const { projects } = connect(process.env);
  const name = nameIn("up", positionals);
  await projects.up(name, { replicas: replicas === undefined ? undefined : Number(replicas) });
  const project = await untilSettled(projects, name);
  if (project.status !== "up") {
    process.stderr.write(
      `${name} is down: ${quoted(project.problem || project.detail || "it was stopped")}\n`,
    );
    return 1;
  }
  process.stdout.write(stateLine(project));
  const ready = project.idle_workers + project.running;
  if (ready < project.replicas) {
    process.stderr.write(
      `${ready} of ${project.replicas} workers ${isOrAre(ready)} ready; more are starting.\n`,
    );
  }
  return 0;
}

/**
 * Polls until the first worker is ready or the project is down. Prints the project's progress, such as an
 * installation of packages, on standard error.
 */
async function untilSettled(projects: Airlock["projects"], name: string): Promise<Project> {
  let reported: string | null | undefined;
  for (;;) {
    const project = await projects.get(name);
    const { status, detail, idle_workers: idle, running } = project;
    if (status !== "up" || idle + running > 0) return project;
    if (detail && detail !== reported) process.stderr.write(`${name}: ${quoted(detail)}\n`);
    reported = detail;
    await sleep(POLL_MS);
  }
}

/** `./airlock down NAME` stops a project's workers. */
export async function downProject(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseFlags("down", args, { hold: { type: "boolean", default: false } });
  const name = nameIn("down", positionals);
  const { projects } = connect(process.env);
  process.stdout.write(stateLine(await projects.down(name, { hold: values.hold })));
  const { running, paused } = await projects.get(name);
  if (running > 0)
    process.stdout.write(`${executions(running)} still ${running === 1 ? "runs" : "run"}, to the end.\n`);
  if (paused > 0)
    process.stdout.write(
      `${executions(paused)} ${paused === 1 ? "waits" : "wait"} for a response and ${paused === 1 ? "stays" : "stay"} until then.\n`,
    );
  if (values.hold) process.stdout.write(`It takes no executions until ./airlock up ${name}.\n`);
  return 0;
}

function nameIn(action: "up" | "down", names: readonly string[]): string {
  const [name] = names;
  if (name === undefined || names.length > 1)
    throw usageError(action, `${action} takes the name of one project.`);
  return name;
}

function executions(count: number): string {
  return `${count} ${count === 1 ? "execution" : "executions"}`;
}

function isOrAre(count: number): string {
  return count === 1 ? "is" : "are";
}

function stateLine({ name, status, replicas }: ProjectState): string {
  return `${name} is ${status}, ${replicas} ${replicas === 1 ? "replica" : "replicas"}\n`;
}
