import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";

const ROOT = join(import.meta.dirname, "..", "..");

/** A service that runs as a separate process, as with compose. */
export type ServiceProcess = {
  readonly pid: number;
  /** Standard output and standard error so far. */
  output(): string;
  signal(name: NodeJS.Signals): void;
  /** Resolves at the end to the reason, such as `exited with status 1` or `was killed by SIGKILL`. */
  readonly exited: Promise<string>;
  /** Sends SIGTERM; resolves to the exit status, rejects when the process has not ended after `timeoutMs`. */
  stop(timeoutMs: number): Promise<number | null>;
  /** Kills the process with SIGKILL, as a crash would. */
  kill(): Promise<void>;
};

/** Starts the service's `main.ts` with this environment; resolves when it listens. */
export async function startServiceProcess(
  name: string,
  env: Readonly<Record<string, string>>,
): Promise<ServiceProcess> {
  const directory = name === "gateway" ? name : join("services", name);
  const args = ["--disable-warning=ExperimentalWarning", join(directory, "main.ts")];
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    env: { PATH: process.env.PATH ?? "", AIRLOCK_LOG_LEVEL: "debug", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const service = serviceProcessOf(child, name);
  const lines = createInterface({ input: child.stdout });
  await new Promise<void>((resolve, reject) => {
    lines.on("line", (line) => {
      // A pool-manager's log has its workers' lines, too, which may come before its own `listening`.
      if (line.includes('"msg":"listening"') && !line.includes('"workerId"')) resolve();
    });
    child.once("close", () => reject(new Error(`the service ${name} did not start:\n${service.output()}`)));
  });
  return service;
}

/** Wraps a child process whose standard output and standard error are pipes. */
export function serviceProcessOf(child: ChildProcess, name: string): ServiceProcess {
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (data) => {
      output += data;
    });
  }
  const exited = new Promise<string>((resolve) => {
    child.once("close", (code, signal) =>
      resolve(signal ? `was killed by ${signal}` : `exited with status ${code}`),
    );
  });
  return {
    pid: child.pid as number,
    output: () => output,
    exited,
    signal: (signal) => void child.kill(signal),
    stop: (timeoutMs) => stopped(child, name, timeoutMs),
    kill: () => killed(child),
  };
}

async function stopped(child: ChildProcess, name: string, timeoutMs: number): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) {
    const closed = once(child, "close", { signal: AbortSignal.timeout(timeoutMs) });
    child.kill("SIGTERM");
    await closed.catch(() => {
      throw new Error(`the service ${name} has not ended ${timeoutMs / 1_000} s after SIGTERM`);
    });
  }
  return child.exitCode;
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, "close");
  child.kill("SIGKILL");
  await closed;
}
