import { access, constants, readdir } from "node:fs/promises";
import { AirlockError } from "#common/errors.ts";
import { keepMemoryOutOfCoreDumps } from "#common/service/core-dumps.ts";
import { ConfigError } from "#common/service/environment.ts";
import { systemReason } from "#common/system-reason.ts";
import type { ExecutionStatus } from "#proto/execution.ts";
import { type EmbeddedConfig, readEmbeddedConfig } from "../embedded/config.ts";
import { makeDirectory } from "../make-directory.ts";
import { whenOutputCloses } from "../terminal/closed-output.ts";

const DEFAULT_URL = "http://127.0.0.1:8000";
const COUNT_MS = 2_000;
const MAX_COUNTED = 200;

type Running = {
  readonly url: string;
  /** The gRPC target of the router; undefined for the mock, which has none. */
  readonly routerAddress?: string;
  drain(graceMs: number): Promise<void>;
};

/**
 * `./airlock up` starts all services in this process and serves until Ctrl-C. Resolves to the exit status.
 */
export async function up(args: readonly string[]): Promise<number> {
  keepMemoryOutOfCoreDumps();
  let running: Running;
  let config: EmbeddedConfig;
  try {
    config = readEmbeddedConfig(args, process.env);
    refuseOtherDatabase();
    running = config.mock ? await startMock(config) : await startReal(config);
  } catch (error) {
    const sentence = explain(error, args);
    if (sentence === undefined) throw error;
    process.stderr.write(`${sentence}\n`);
    return 2;
  }
  // Signals are handled before the banner is printed, because a program that waits for the banner may stop
  // Airlock at once.
  const stopped = untilStopped();
  const project = config.mock ? "mock-project" : await exampleProject(config);
  process.stdout.write(banner(running, config, project, await howToGetKey(config)));
  await stopped;
  process.stdout.write(
    `\nFinishing what runs, for ${config.graceMs / 1_000} s at most (--grace); Ctrl-C once more stops at once.\n`,
  );
  process.stdout.write(await whatIsOpen(running.routerAddress, config));
  await running.drain(config.graceMs);
  return 0;
}

async function startMock(config: EmbeddedConfig): Promise<Running> {
  const { createLog } = await import("#common/service/log.ts");
  const { startMockGateway } = await import("../../gateway/mock.ts");
  const gateway = await startMockGateway(config.settings.gateway, createLog("gateway", "warn"));
  return gateway;
}

async function startReal(config: EmbeddedConfig): Promise<Running> {
  const { openLogs } = await import("../terminal/log-file.ts");
  const { lockDataDirectory } = await import("../embedded/data-directory-lock.ts");
  const { startEmbedded } = await import("../embedded/embedded.ts");
  const { driver, python } = config.settings["pool-manager"];
  if (driver === "process") await requirePython(python);
  await requireProjects(config.projectsDirectory);
  const { dataDirectory } = config;
  await makeDirectory(dataDirectory).catch((error: unknown) => {
    throw new ConfigError([
      `The data directory ${dataDirectory} cannot be made: ${systemReason(error)}; name another with --data DIR.`,
    ]);
  });
  // The lock of the data directory is taken before any file in it is opened, even the log, because another
  // Airlock may be using them.
  const lock = await lockDataDirectory(dataDirectory, (sentence) => process.stderr.write(`${sentence}\n`));
  return await startEmbedded(config, lock, openLogs(dataDirectory, config.logLevel));
}

/**
 * Refuses database variables, which the terminal may have from another deployment. `./airlock up` keeps
 * executions in its data directory, so they would not be in the database that the operator expects.
 */
function refuseOtherDatabase(): void {
  const set = (["AIRLOCK_DATABASE_URL", "AIRLOCK_DATABASE_URL_FILE", "AIRLOCK_DATABASE"] as const).filter(
    (name) => process.env[name],
  );
  if (set.length === 0) return;
  throw new ConfigError([
    `${set.join(" and ")} cannot be used here: ./airlock up keeps executions in SQLite in its data directory (--data). PostgreSQL is for routers that are started alone, as docker-compose.yml does. Unset it.`,
  ]);
}

/**
 * The name of a project for the example in the banner: demo if it is usable, otherwise the first project
 * whose file is valid; undefined when there is none.
 */
async function exampleProject({ projectsDirectory }: EmbeddedConfig): Promise<string | undefined> {
  const { isUsable, openProjectCatalogue } = await import("#common/projects/catalogue.ts");
  // An error is ignored, because the project's name only serves an example in the banner.
  const catalogue = await openProjectCatalogue(projectsDirectory).catch(() => undefined);
  const names =
    catalogue
      ?.list()
      .filter(isUsable)
      .map(({ name }) => name) ?? [];
  return names.includes("demo") ? "demo" : names[0];
}

async function requirePython(python: string): Promise<void> {
  await access(python, constants.X_OK).catch(() => {
    throw new ConfigError([
      `There is no Python at ${python}; start with ./airlock up, which makes it, or set AIRLOCK_PYTHON.`,
    ]);
  });
}

async function requireProjects(directory: string): Promise<void> {
  await readdir(directory).catch((error: unknown) => {
    throw new ConfigError([
      `The projects directory ${directory} cannot be read: ${systemReason(error)}; name another with --projects DIR.`,
    ]);
  });
}

/** A sentence about an error that the operator can mend; undefined for any other error. */
function explain(error: unknown, args: readonly string[]): string | undefined {
  if (error instanceof ConfigError) return error.message;
  // The store reports a full disk as an AirlockError of its own, whose cause is the database's error.
  if (error instanceof AirlockError)
    return error.cause === undefined ? undefined : explain(error.cause, args);
  const { code, errno, path, errstr } = error as NodeJS.ErrnoException & { errstr?: string };
  const { dataDirectory, settings } = readEmbeddedConfig(args, process.env);
  const { host, port } = settings.gateway;
  if (code === "EADDRINUSE") {
    return `Port ${port} is in use; stop what uses it, or choose another with --port.`;
  }
  if (code === "EACCES" && (error as NodeJS.ErrnoException).syscall === "listen") {
    return `Port ${port} may not be used by this user; choose another with --port, such as one above 1023.`;
  }
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND") {
    return `AIRLOCK_HOST must be an address of this machine, not "${host}".`;
  }
  const other = "Correct that, or name another directory with --data DIR.";
  if (code === "ERR_SQLITE_ERROR") {
    return `The database in the data directory ${dataDirectory} cannot be opened: ${errstr}. ${other}`;
  }
  if (errno !== undefined && path?.startsWith(dataDirectory)) {
    return `The data directory ${dataDirectory} cannot be used: ${path}: ${systemReason(error)}. ${other}`;
  }
  return undefined;
}

function banner(
  { url, routerAddress }: Running,
  { mock }: EmbeddedConfig,
  project: string | undefined,
  key: HowToGetKey | undefined,
): string {
  const exports = [
    ...(url === DEFAULT_URL ? [] : [`AIRLOCK_URL=${url}`]),
    ...(key === undefined ? [] : [`AIRLOCK_KEY=${key.value}`]),
  ].join(" ");
  const clients =
    exports === "" ? "" : `./airlock run and the like need this in their terminal: export ${exports}\n`;
  const grpc =
    routerAddress === undefined ? "" : `gRPC, for your user only: ${routerAddress} (docs/grpc.md)\n`;
  const ways = mock ? "How to get an error, a timeout or a 429 from it: docs/mock.md\n" : "";
  const access = key === undefined ? "" : `Every client needs an API key; ${key.sentence}\n`;
  const header = key === undefined ? "" : ` -H "authorization: Bearer ${key.value}"`;
  const example =
    project === undefined
      ? "No project file is in order yet: ./airlock projects says why.\n"
      : `Try it:
  curl -s ${url}/execute${header} -H 'content-type: application/json' \\
    -d '{"project": "${project}", "code": "set_result(6 * 7)"}'
then poll the poll_url that it answers. `;
  return `Airlock${mock ? " (mock)" : ""} is up at ${url}
${access}
${example}${url}/skill.md teaches it to an agent, ${url}/docs shows it all.
${clients}${grpc}${ways}`;
}

type HowToGetKey = {
  /** The key as a shell writes it in a command. */
  readonly value: string;
  readonly sentence: string;
};

/** Says where a client's first key is; undefined where clients need no key. */
async function howToGetKey({ settings }: EmbeddedConfig): Promise<HowToGetKey | undefined> {
  const { gateway, authority } = settings;
  if (gateway.auth !== "required") return undefined;
  const file = authority.adminKey.given ?? authority.adminKey.made;
  // The authority makes the file only when there is no admin.
  if (file !== undefined && (await exists(file)))
    return { value: `$(cat ${file})`, sentence: `the first admin's is in ${file} (docs/identity.md).` };
  return {
    value: "YOUR_KEY",
    sentence:
      'no first key was made, because admins have keys already (docs/identity.md, "If the admin\'s key is lost").',
  };
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/**
 * Says how many executions are still open and what happens to them; empty when there are none, and for the mock,
 * which has no router.
 */
async function whatIsOpen(router: string | undefined, { settings }: EmbeddedConfig): Promise<string> {
  if (router === undefined) return "";
  const [running, paused] = await countOpen(router);
  // A worker in a container survives this process, and the next `./airlock up` takes it over. A worker that
  // is a plain process ends with this one.
  const fates =
    settings["pool-manager"].driver === "docker"
      ? ["is", "are", " taken over by the next start"]
      : ["ends", "end", " as worker_lost"];
  const [one, more, what] = fates;
  const fate = (count: number) => `${count === 1 ? one : more}${what}`;
  const lines = [
    running > 0 ? `${executions(running, "runs", "run")} now; what has not ended by then ${fate(1)}.\n` : "",
    paused > 0 ? `${executions(paused, "waits", "wait")} for a response, and ${fate(paused)}.\n` : "",
  ];
  return lines.join("");
}

function executions(count: number, one: string, more: string): string {
  return count === 1 ? `1 execution ${one}` : `${count} executions ${more}`;
}

/** The numbers of executions that run, and that wait for a response. */
async function countOpen(address: string): Promise<[running: number, paused: number]> {
  const { callUnary, connectTo } = await import("#common/grpc/client.ts");
  const { ExecutionStatus: Status } = await import("#proto/execution.ts");
  const { RouterServiceClient } = await import("#proto/router.ts");
  const router = connectTo(RouterServiceClient, address);
  const count = async (status: ExecutionStatus) => {
    const request = { project: "", status, limit: MAX_COUNTED, cursor: "" };
    const limits = { timeoutMs: COUNT_MS };
    return (await callUnary(router, router.listExecutions, request, "router", limits)).executions.length;
  };
  try {
    return await Promise.all([count(Status.RUNNING), count(Status.AWAITING_LLM)]);
  } catch {
    // An error counts as 0, because the number of open executions is only shown to the operator.
    return [0, 0];
  } finally {
    router.close();
  }
}

/**
 * Resolves at the first SIGINT, SIGTERM or SIGHUP (a closed terminal or a broken ssh connection). The second
 * signal ends the process at once.
 */
function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const stop = () => {
      // Workers need no signal from here, because they exit by themselves when this process has ended.
      if (asked) process.exit(130);
      asked = true;
      // A closed terminal is ignored from now on, because it must not end the process while runs are
      // finishing.
      whenOutputCloses(() => undefined);
      resolve();
    };
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop);
  });
}
