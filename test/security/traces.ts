import { readdir, readFile, readlink } from "node:fs/promises";

/** What a hostile script might leave on the machine, counted for a process and all below it. */
export type Traces = { processes: number; descriptors: number; mounts: number; temporaryFiles: number };

export async function tracesOf(pid: number): Promise<Traces> {
  const tree = await treeOf(pid);
  return {
    processes: tree.length,
    descriptors: (await Promise.all(tree.map(descriptorsOf))).reduce((sum, count) => sum + count, 0),
    mounts: (await readFile("/proc/self/mounts", "utf8")).split("\n").length,
    temporaryFiles: (await Promise.all((await childrenOf(pid)).map(filesOf))).flat().length,
  };
}

/** The service's own processes, which no script may end: itself, and its workers' supervisors and zygotes. */
export async function longLived(pid: number): Promise<number[]> {
  const supervisors = await childrenOf(pid);
  const zygotes = await Promise.all(supervisors.map(childrenOf));
  return [pid, ...supervisors, ...zygotes.flat()];
}

async function treeOf(pid: number): Promise<number[]> {
  const children = await childrenOf(pid);
  return [pid, ...(await Promise.all(children.map(treeOf))).flat()];
}

async function childrenOf(pid: number): Promise<number[]> {
  try {
    const threads = await readdir(`/proc/${pid}/task`);
    const texts = await Promise.all(
      threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/children`, "utf8").catch(() => "")),
    );
    return texts.join(" ").split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** What lies in a worker's run directory, the one place outside that a run without mounts would write to. */
async function filesOf(supervisor: number): Promise<string[]> {
  const words = (await readFile(`/proc/${supervisor}/cmdline`, "utf8").catch(() => "")).split("\0");
  const directory = words[words.indexOf("--run-dir") + 1];
  return directory ? await readdir(directory, { recursive: true }).catch(() => []) : [];
}

// Pipes, sockets and files; not what Node opens and closes for itself.
async function descriptorsOf(pid: number): Promise<number> {
  const names = await readdir(`/proc/${pid}/fd`).catch(() => []);
  const targets = await Promise.all(
    names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => "gone")),
  );
  return targets.filter((target) => target !== "gone").length;
}
