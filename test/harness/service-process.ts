import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";

const ROOT = join(import.meta.dirname, "..", "..");

/** A service as a process of its own, as compose runs it. */
export type ServiceProcess = {
  readonly pid: number;
  /** All that it wrote. */
  output(): string;
  signal(name: NodeJS.Signals): void;
  /** Resolves to how it ended. */
  readonly exited: Promise<string>;
  /** Ends it with SIGTERM; resolves to its exit status, rejects when it does not end in time. */
  stop(timeoutMs: number): Promise<number | null>;
  /** Ends it as a crash does. */
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
      // A pool-manager logs what its workers log, too, before it listens itself.
      if (line.includes('"msg":"listening"') && !line.includes('"workerId"')) resolve();
    });
    child.once("close", () => reject(new Error(`the service ${name} did not start:\n${service.output()}`)));
  });
  return service;
}

/** A child whose standard output and standard error are pipes. */
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
