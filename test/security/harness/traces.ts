import { readdir, readFile, readlink } from "node:fs/promises";
import { childrenOf, treeOf } from "../../support/process-tree.ts";

/** Counts of everything that a hostile script could leave behind, by name. */
export type Traces = Readonly<Record<string, number>>;

// Directories where a script outside its mounts would leave files; the suite's scripts name all their files
// `hostile-…`.
const SHARED_PLACES = ["/tmp", "/var/tmp", "/dev/shm", "/"];
const MARK = /^hostile-/;
// Mounts of containers, which other tests start and stop meanwhile.
const OF_AN_ENGINE = / \/(run|var\/run|var\/lib)\/(docker|containerd)\b/;
// Descriptors that may be added for connections that the test or gRPC has open at the moment.
const PASSING_DESCRIPTORS = 16;

/** Traces on this machine, of a process and all its descendants. `directories` hold the service's temporary files. */
export async function tracesOf(pid: number, directories: readonly string[]): Promise<Traces> {
  const tree = await treeOf(pid);
  const marked = await Promise.all(SHARED_PLACES.map((place) => readdir(place).catch(() => [])));
  const own = await Promise.all(directories.map(filesBelow));
  return {
    processes: tree.length,
    descriptors: sum(await Promise.all(tree.map(descriptorsOf))),
    mounts: sum(await Promise.all((await longLived(pid)).map(mountsOf))),
    temporaryFiles: marked.flat().filter((name) => MARK.test(name)).length + own.flat().length,
  };
}

/** The counts that have grown, by name: [before, now]; empty when none has. */
export function growth(before: Traces, now: Traces): Record<string, [number, number]> {
  const grown = Object.entries(now)
    .map(([name, count]) => [name, before[name] ?? 0, count] as const)
    .filter(([name, was, is]) => is > was + (/^descriptors/.test(name) ? PASSING_DESCRIPTORS : 0));
  return Object.fromEntries(grown.map(([name, was, is]) => [name, [was, is]]));
}

/** Processes that no script may end: Airlock's own, and its workers' supervisors, zygotes and templates. */
export async function longLived(pid: number): Promise<number[]> {
  const supervisors = await childrenOf(pid);
  const zygotes = await Promise.all(supervisors.map(childrenOf));
  const templates = await Promise.all(zygotes.flat().map(childrenOf));
  return [pid, ...supervisors, ...zygotes.flat(), ...templates.flat()].sort((a, b) => a - b);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

async function mountsOf(pid: number): Promise<number> {
  const mounts = (await readFile(`/proc/${pid}/mountinfo`, "utf8").catch(() => "")).split("\n");
  return mounts.filter((mount) => !OF_AN_ENGINE.test(mount)).length;
}

async function filesBelow(directory: string): Promise<string[]> {
  return await readdir(directory, { recursive: true }).catch(() => []);
}

async function descriptorsOf(pid: number): Promise<number> {
  const names = await readdir(`/proc/${pid}/fd`).catch(() => []);
  const targets = await Promise.all(
    names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => undefined)),
  );
  return targets.filter((target) => target !== undefined).length;
}
