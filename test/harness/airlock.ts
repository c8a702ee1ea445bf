import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { lchown, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Account, asAccount, type Command } from "./account.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const START_TIMEOUT_MS = 60_000;

/** A running Airlock, started as `./airlock up` does. */
export type TestAirlock = {
  readonly url: string;
  readonly pid: number;
  readonly directory: string;
  readonly dataDirectory: string;
  readonly projectsDirectory: string;
  /** Standard output and standard error so far. */
  output(): string;
  /** Stops it with SIGINT, as Ctrl-C does, or with another signal; resolves to the exit status, null after a kill. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
  /** Kills it with SIGKILL, as a crash would. */
  kill(): Promise<void>;
  /** Stops it and starts it again with the same data. */
  restart(): Promise<TestAirlock>;
  /** Stops it and removes its files. */
  remove(): Promise<void>;
};

export type TestAirlockOptions = {
  /** Project files by name; each gets its `name:` line by itself. */
  readonly projects?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly directory?: string;
  /** The REST port; undefined means a free one. */
  readonly port?: number;
  /** Starts the mock, which needs no Python. */
  readonly mock?: boolean;
  /** The user that runs Airlock; undefined means the tests' own user. */
  readonly account?: Account;
  /** A module that Airlock's process loads first. */
  readonly preload?: string;
  /** A command line that runs the one after it, such as `unshare`, and becomes that process. */
  readonly wrapper?: readonly string[];
};

/** Starts all services in one process, as `./airlock up` does, on a free port. */
export async function startAirlock(options: TestAirlockOptions = {}): Promise<TestAirlock> {
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), "airlock-e2e-")));
  const projectsDirectory = join(directory, "projects");
  const dataDirectory = join(directory, "data");
  await mkdir(projectsDirectory, { recursive: true });
  for (const [name, text] of Object.entries(options.projects ?? { demo: "" })) {
    await writeFile(join(projectsDirectory, `${name}.yaml`), `name: ${name}\n${text}`);
  }
  const mock = options.mock ? ["--mock"] : [];
  const plain = airlockCommand(
    [
      "up",
      "--port",
      String(options.port ?? 0),
      "--data",
      dataDirectory,
      "--projects",
      projectsDirectory,
      ...mock,
    ],
    options.preload,
  );
  const [wrapper, ...before] = options.wrapper ?? [];
  const command =
    wrapper === undefined ? plain : { file: wrapper, args: [...before, plain.file, ...plain.args] };
  const env = environment(options.env);
  const child = options.account
    ? await spawnAs(options.account, directory, command, env)
    : spawn(command.file, command.args, { cwd: ROOT, env });
  let output = "";
  child.stdout.on("data", (data) => {
    output += data;
  });
  child.stderr.on("data", (data) => {
    output += data;
  });
  const url = await bannerUrl(child, () => output);
  const exited = once(child, "close") as Promise<[number | null]>;
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    return (await exited)[0];
  };
  const self: TestAirlock = {
    url,
    pid: child.pid as number,
    directory,
    dataDirectory,
    projectsDirectory,
    output: () => output,
    stop: (signal = "SIGINT") => end(signal),
    kill: async () => {
      await end("SIGKILL");
    },
    restart: async () => {
      await end("SIGINT");
      return await startAirlock({ ...options, directory, projects: {} });
    },
    remove: async () => {
      await end("SIGINT");
      await rm(directory, { recursive: true, force: true });
    },
  };
  return self;
}

/** Runs the command line as the launcher does, with this process's Node. */
export function spawnAirlock(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): ChildProcessWithoutNullStreams {
  const command = airlockCommand(args);
  return spawn(command.file, command.args, { cwd: ROOT, env: environment(env) });
}

/** The command line of an `./airlock` command; Node loads the module `preload` first. */
export function airlockCommand(args: readonly string[], preload?: string): Command {
  const first = preload === undefined ? [] : ["--import", preload];
  return {
    file: process.execPath,
    args: ["--disable-warning=ExperimentalWarning", ...first, join(ROOT, "cli", "main.ts"), ...args],
  };
}

/** This process's environment with the checkout's Python, and `extra`. */
export function environment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  return { AIRLOCK_PYTHON: join(ROOT, ".venv", "bin", "python"), ...process.env, ...extra };
}

/**
 * Spawns a command as another user, and gives that user all of `directory`. Home and temporary files are in
 * `directory/home`.
 */
async function spawnAs(
  account: Account,
  directory: string,
  command: Command,
  env: NodeJS.ProcessEnv,
): Promise<ChildProcessWithoutNullStreams> {
  const home = join(directory, "home");
  const aside = join(directory, "aside");
  await mkdir(home, { recursive: true });
  await mkdir(aside, { recursive: true });
  const names = await readdir(directory, { recursive: true });
  for (const name of ["", ...names]) await lchown(join(directory, name), account.uid, account.uid);
  const { file, args } = asAccount(account, command, env.AIRLOCK_PYTHON as string, aside);
  return spawn(file, args, { cwd: "/", env: { ...env, HOME: home, TMPDIR: home } });
}

/** Runs an `./airlock` command to its end, with `input` as its standard input. */
export async function runAirlock(
  args: readonly string[],
  options: { env?: Readonly<Record<string, string>>; input?: string } = {},
): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const child = spawnAirlock(args, options.env);
  child.stdin.end(options.input ?? "");
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (data) => {
    stdout += data;
  });
  child.stderr.on("data", (data) => {
    stderr += data;
  });
  const [status] = (await once(child, "close")) as [number | null];
  return { status, stdout, stderr };
}

async function bannerUrl(child: ChildProcessWithoutNullStreams, output: () => string): Promise<string> {
  const lines = createInterface({ input: child.stdout });
  const signal = AbortSignal.timeout(START_TIMEOUT_MS);
  const closed = once(child, "exit", { signal }).then(() => {
    throw new Error(`airlock did not start:\n${output()}`);
  });
  const found = (async () => {
    for await (const line of lines) {
      const url = / is up at (https?:\S+)/.exec(line)?.[1];
      if (url) return url;
    }
    return await closed;
  })();
  return await Promise.race([found, closed]);
}
