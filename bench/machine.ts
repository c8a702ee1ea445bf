import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism, cpus as cpuList, release, totalmem } from "node:os";
import { join } from "node:path";
import { PYTHON, ROOT } from "../cli/tools.ts";

export type Machine = Readonly<Record<string, string>>;

/** The number of cores that the benchmark and the measured programs share. */
export function cpus(): number {
  return availableParallelism();
}

/** A description of the machine and of the versions of the measured programs. */
export function describeMachine(): Machine {
  return {
    date: new Date().toISOString().slice(0, 10),
    Airlock: `${version()} ${said("git", "-C", ROOT, "rev-parse", "--short", "HEAD")}`.trim(),
    processor: `${cpus()} × ${cpuList()[0]?.model ?? "unknown"}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    kernel: release(),
    Node: process.versions.node,
    Python: said(PYTHON, "-c", "import platform; print(platform.python_version())"),
    Docker: said("docker", "version", "--format", "{{.Server.Version}}") || "none",
  };
}

function version(): string {
  return (JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string }).version;
}

function said(file: string, ...args: string[]): string {
  try {
    return execFileSync(file, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return "";
  }
}
