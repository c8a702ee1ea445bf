import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/** Identifies a process of any machine, and stays unique after the process has ended. */
export type ProcessIdentity = {
  /** The host name and the machine's id. */
  readonly machine: string;
  /** An id that changes at each start of the machine. */
  readonly boot: string;
  /** The namespace of `pid`, because process ids have a meaning only within one. */
  readonly pidNamespace: string;
  readonly pid: number;
  /** The start time in the kernel's own count, because process ids are used again. */
  readonly startedAt: string;
};

export function ownIdentity(): ProcessIdentity {
  return {
    // The host name is included, because copies of a machine may share its id.
    machine: `${hostname()} ${read("/etc/machine-id")}`.trim(),
    boot: read("/proc/sys/kernel/random/boot_id"),
    pidNamespace: link("/proc/self/ns/pid"),
    pid: process.pid,
    startedAt: startOf(process.pid) ?? "",
  };
}

/**
 * Whether the other process still runs; undefined when this process cannot see that, because the other one is
 * on another machine or in another pid namespace.
 */
export function isRunning(other: ProcessIdentity): boolean | undefined {
  const own = ownIdentity();
  if (other.boot !== own.boot) return other.machine === own.machine ? false : undefined;
  if (other.pidNamespace !== own.pidNamespace) return undefined;
  return startOf(other.pid) === other.startedAt;
}

/**
 * The start time of a process in the kernel's own count (/proc/PID/stat); undefined when there is no such
 * process. On a system without /proc, a fixed text for every process that exists.
 */
function startOf(pid: number): string | undefined {
  if (!existsSync("/proc/self/stat")) return isThere(pid) ? "some time" : undefined;
  // The fields are counted after the second one, because that one, a name in brackets, may contain any
  // character.
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
