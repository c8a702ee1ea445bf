import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/** What tells a process of some machine from every other, also after it has ended. */
export type ProcessIdentity = {
  readonly machine: string;
  /** New at each start of the machine. */
  readonly boot: string;
  /** Numbers of processes mean something only within it. */
  readonly pidNamespace: string;
  readonly pid: number;
  readonly startedAt: string;
};

export function ownIdentity(): ProcessIdentity {
  return {
    // Copies of a machine may share its id.
    machine: `${hostname()} ${read("/etc/machine-id")}`.trim(),
    boot: read("/proc/sys/kernel/random/boot_id"),
    pidNamespace: link("/proc/self/ns/pid"),
    pid: process.pid,
    startedAt: startOf(process.pid) ?? "",
  };
}

/** Whether that process still runs; undefined where that cannot be seen from here. */
export function isRunning(other: ProcessIdentity): boolean | undefined {
  const own = ownIdentity();
  if (other.boot !== own.boot) return other.machine === own.machine ? false : undefined;
  if (other.pidNamespace !== own.pidNamespace) return undefined;
  return startOf(other.pid) === other.startedAt;
}

/** When it was started, in the kernel's own count; undefined when there is no such process. */
function startOf(pid: number): string | undefined {
  if (!existsSync("/proc/self/stat")) return isThere(pid) ? "some time" : undefined;
  // The second field, a name in brackets, may hold anything.
  const fields = read(`/proc/${pid}/stat`).split(") ").at(-1)?.split(" ") ?? [];
  const [state, started] = [fields[0], fields[19]];
  return state === "Z" || state === "X" ? undefined : started;
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
