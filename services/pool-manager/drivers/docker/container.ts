import type Docker from "dockerode";
import type { Project } from "#common/projects/file.ts";
import { projectArguments } from "../../packages/requirements.ts";
import { type DeploymentNames, digest, LABEL } from "./names.ts";

export const WORKER_PORT = 50_051;

const MIB = 1024 * 1024;
const USER = 61_733;
// What supervisor and zygote with its spares need beside the run; measured with pandas imported, 150 MB.
const OVERHEAD_BYTES = 256 * MIB;
// A sandbox of gVisor that runs out of memory ends as a whole, not by one process. So there is room for as many as a
// fork bomb can make before it is noticed (privileges.py); measured, 12 MB for one that has done nothing yet.
const GVISOR_BYTES_PER_PROCESS = 12 * MIB;
const GVISOR_OTHER_PROCESSES = 64;
// Only for the size of the container: what it is, the worker proves.
const GVISOR_NAMES = /runsc|gvisor/i;
// Supervisor, zygote, spares and paused runs. In gVisor its own threads count too, and a full table would end all of it:
// there the limits inside have to hold.
const OVERHEAD_PIDS = 1_024;
// So that the worker can answer while a script uses all it may.
const OVERHEAD_CPUS = 0.25;
const NO_DISK = "noexec,nosuid,nodev";

export type ContainerParts = {
  readonly project: Project;
  readonly image: string;
  readonly runtime: string | undefined;
  /** The text of the system call filter. */
  readonly seccomp: string;
  /** How many the engine's machine has: it refuses a limit above. */
  readonly machineCpus: number;
};

/** How a worker's container is made; nothing in it is secret, since everybody who may ask the engine can read it. */
export function containerOptions(
  names: DeploymentNames,
  { project, image, runtime, seccomp, machineCpus }: ContainerParts,
): Docker.ContainerCreateOptions {
  const { limits, isolation } = project;
  const isGvisor = isolation === "gvisor" || GVISOR_NAMES.test(runtime ?? "");
  const copies = isGvisor ? (limits.pids + GVISOR_OTHER_PROCESSES) * GVISOR_BYTES_PER_PROCESS : 0;
  const memory = limits.memoryBytes + limits.diskBytes + OVERHEAD_BYTES + copies;
  return {
    Image: image,
    Cmd: [
      ...["--listen", `0.0.0.0:${WORKER_PORT}`, "--tls-stdin", "--run-dir", "/run/airlock"],
      ...["--python", "/opt/airlock/project/bin/python", "--descriptors", "/opt/airlock/airlock.binpb"],
      ...projectArguments(project),
    ],
    User: `${USER}:${USER}`,
    Labels: names.labels(project.name),
    // The worker gets its certificates here after its start, and again when they are renewed.
    OpenStdin: true,
    StdinOnce: false,
    HostConfig: {
      NetworkMode: names.network(project.name),
      // Asked outside the container's own names, the engine's resolver finds nobody to ask.
      Dns: ["127.0.0.1"],
      DnsSearch: ["."],
      DnsOptions: ["timeout:1", "attempts:1"],
      ...(runtime !== undefined && { Runtime: runtime }),
      Init: true,
      RestartPolicy: { Name: "no" },
      ReadonlyRootfs: true,
      Tmpfs: {
        "/tmp": `rw,${NO_DISK},size=${16 * MIB},mode=1777`,
        "/run/airlock": `rw,${NO_DISK},size=${limits.diskBytes + MIB},mode=0700,uid=${USER},gid=${USER}`,
      },
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges", `seccomp=${seccomp}`],
      // A run gets a /proc of its own pid namespace, which the kernel refuses where one is masked. What the masks hide
      // belongs to root, and root of this machine is nobody here.
      MaskedPaths: [],
      ReadonlyPaths: [],
      Memory: memory,
      MemorySwap: memory,
      NanoCpus: Math.round(Math.min(limits.cpus + OVERHEAD_CPUS, machineCpus) * 1e9),
      PidsLimit: limits.pids + OVERHEAD_PIDS,
      Ulimits: [{ Name: "core", Soft: 0, Hard: 0 }],
      IpcMode: "private",
      LogConfig: { Type: "json-file", Config: { "max-size": "1m", "max-file": "2" } },
    },
  };
}

/** Changes when a container of the project would be made differently, and never by its worker's id. */
export function revisionOf(project: Project, options: Docker.ContainerCreateOptions): string {
  return digest(JSON.stringify([project.poolRevision, options])).slice(0, 16);
}

/** The same for one worker, by name. */
export function forWorker(
  names: DeploymentNames,
  options: Docker.ContainerCreateOptions,
  workerId: string,
  revision: string,
): Docker.ContainerCreateOptions {
  return {
    ...options,
    name: names.container(workerId),
    Cmd: ["--worker-id", workerId, ...(options.Cmd ?? [])],
    Hostname: "airlock",
    Labels: { ...options.Labels, [LABEL.worker]: workerId, [LABEL.revision]: revision },
  };
}
