import type Docker from "dockerode";
import type { Project } from "#common/projects/file.ts";
import { projectArguments } from "../../packages/requirements.ts";
import { type DeploymentNames, digest, LABEL } from "./names.ts";

export const WORKER_PORT = 50_051;

const MIB = 1024 * 1024;
const USER = 61_733;
// Bytes of memory that supervisor, zygote and spares need besides the run. Measured with pandas imported: 150
// MB.
const OVERHEAD_BYTES = 256 * MIB;
// Bytes of memory for each process of a run on gVisor. A gVisor sandbox that runs out of memory ends as a
// whole, with all runs in it, and does not lose only one process. So the container gets memory for as many
// processes as a fork bomb can make before the supervisor notices it (privileges.py). Measured for a process
// that has done nothing yet: 12 MB.
const GVISOR_BYTES_PER_PROCESS = 12 * MIB;
// Processes besides those of one run that count in its process limit on gVisor (_ROOM_FOR_OTHERS in
// privileges.py).
const GVISOR_OTHER_PROCESSES = 64;
// Names of container runtimes that are gVisor. They decide only the memory of the container, because the
// worker's probe measures later whether the kernel is gVisor's.
const GVISOR_NAMES = /runsc|gvisor/i;
// Processes besides those of the run: supervisor, zygote, spares and paused runs. On gVisor, the threads of
// gVisor itself count too. The number is large, so that the limits inside the sandbox act first, because a
// full process table would end the whole gVisor sandbox.
const OVERHEAD_PIDS = 1_024;
// CPUs besides those of the run, so that the worker's supervisor can answer while a script uses all of the
// run's CPUs.
const OVERHEAD_CPUS = 0.25;
const NO_DISK = "noexec,nosuid,nodev";

export type ContainerParts = {
  readonly project: Project;
  readonly image: string;
  /** The container runtime, such as `runsc`; undefined for the engine's default. */
  readonly runtime: string | undefined;
  /** The system call filter (seccomp profile) as JSON. */
  readonly seccomp: string;
  /** The number of CPUs of the engine's machine, because the engine refuses a limit above this number. */
  readonly machineCpus: number;
};

/**
 * The options of a project's worker containers. They contain no secret, because every user of the engine can
 * read them.
 */
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
    // Standard input stays open, because the driver writes the worker's TLS certificates to it after the
    // start, and again when they are renewed.
    OpenStdin: true,
    StdinOnce: false,
    HostConfig: {
      NetworkMode: names.network(project.name),
      // Blocks external DNS: the engine's resolver is pointed at an address where no DNS server listens.
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
      // A run mounts the /proc of its own pid namespace, which the kernel refuses while parts of the
      // container's /proc are masked. The masks are not needed: they would hide files of root, and no process
      // in the container is root of this machine.
      MaskedPaths: [],
      ReadonlyPaths: [],
      Memory: memory,
      MemorySwap: memory,
      NanoCpus: Math.round(Math.min(limits.cpus + OVERHEAD_CPUS, machineCpus) * 1e9),
      PidsLimit: limits.pids + OVERHEAD_PIDS,
      // The limit of a core dump is 1 byte, because the kernel starts the machine's crash handler for 0 and
      // not for 1.
      Ulimits: [{ Name: "core", Soft: 1, Hard: 1 }],
      IpcMode: "private",
      LogConfig: { Type: "json-file", Config: { "max-size": "1m", "max-file": "2" } },
    },
  };
}

/**
 * A hash that changes when a container of the project would be made differently, because its options or its
 * project file have changed. The driver compares this hash with the label of a running container. The hash
 * does not depend on the worker's id.
 */
export function revisionOf(project: Project, options: Docker.ContainerCreateOptions): string {
  return digest(JSON.stringify([project.poolRevision, options])).slice(0, 16);
}

/** The options of the container of one worker, with its name and labels. */
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
