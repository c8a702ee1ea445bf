import { LABEL } from "../../../services/pool-manager/drivers/docker/names.ts";
import { execIn, startDockerAirlock } from "../../harness/docker/classes.ts";
import { tracesOf } from "./traces.ts";
import type { WorkerHost } from "./worker-host.ts";

const PYTHON = ["/opt/airlock/worker/bin/python", "-I", "-S", "-c"];
// Prints counts of processes, descriptors, mounts and files in a worker's container, without the counting process
// itself.
const COUNT = `
import os
def entries(path):
    try: return len(os.listdir(path))
    except OSError: return 0
pids = [pid for pid in os.listdir("/proc") if pid.isdigit() and int(pid) != os.getpid()]
files = sum(len(d) + len(f) for top in ("/tmp", "/var/tmp", "/dev/shm", "/run/airlock") for _, d, f in os.walk(top))
print(len(pids), sum(entries(f"/proc/{pid}/fd") for pid in pids), len(open("/proc/self/mountinfo").readlines()), files)`;

/**
 * Runs workers as containers; `line` of each project file chooses their runtime. Airlock itself is a process of this
 * machine.
 */
export function inContainers(line: string): WorkerHost {
  return {
    line,
    async start(options) {
      const airlock = await startDockerAirlock(options);
      const containers = async (project?: string) =>
        (await airlock.traces()).containers.filter(
          ({ Labels }) => project === undefined || Labels[LABEL.project] === project,
        );
      const within = async (project: string, code: string): Promise<string[]> =>
        await Promise.all((await containers(project)).map(({ Id }) => execIn(Id, [...PYTHON, code])));
      return {
        airlock,
        longLived: async () => (await containers()).map(({ Id }) => Id).sort(),
        ofWorker: 1,
        addresses: async () =>
          (await containers()).flatMap(({ NetworkSettings }) =>
            Object.values(NetworkSettings.Networks).map(({ IPAddress }) => IPAddress),
          ),
        async traces(project, directories) {
          const printed = (await within(project, COUNT)).join(" ");
          if (!/^\d+( \d+)*$/.test(printed)) throw new Error(`a container could not be counted: ${printed}`);
          const counts = printed.split(" ").map(Number);
          const [processes, descriptors, mounts, files] = [0, 1, 2, 3].map((column) =>
            counts.filter((_, index) => index % 4 === column).reduce((total, count) => total + count, 0),
          ) as [number, number, number, number];
          const { networks } = await airlock.traces();
          // Mounts are left out, because Airlock shares the machine's mounts, which other processes change.
          const { mounts: _, ...outside } = await tracesOf(airlock.pid, directories);
          return {
            ...Object.fromEntries(Object.entries(outside).map(([name, count]) => [`${name} outside`, count])),
            ...{ processes, descriptors, mounts, files, networks: networks.length },
            containers: (await containers(project)).length,
          };
        },
      };
    },
  };
}
