import { setTimeout as delay } from "node:timers/promises";
import type { Row } from "../bench.ts";
import { execute, restClient } from "../clients/rest.ts";
import { type CpuCgroup, openCpuCgroup } from "../cpu-cgroup.ts";
import { type CpuMs, cpuMsOfTree } from "../cpu-time.ts";
import { interleave, type Subject } from "../rounds.ts";
import type { Stack } from "../stacks/stack.ts";
import { SCRIPT } from "./latency.ts";

// Executions in a round. A few would not be enough, because the kernel counts CPU time in steps of 10 ms.
const EXECUTIONS = 60;
const FORKS = 200;
const ROUNDS = 5;
// Milliseconds after the last execution until its processes have ended.
const REST_MS = 300;

/**
 * Measures the CPU time of a script in all processes together. It depends little on other load, because a
 * busy machine makes a script wait, but hardly use more CPU.
 */
export const cpu: Row = {
  name: "cpu",
  title: "CPU of one execution, in all processes but the client's",
  async measure(bench) {
    const pools = (await bench.pools()).filter(({ stack }) => stack.name === "embedded");
    const clients = new Map(pools.map(({ stack }) => [stack, restClient(stack.url)]));
    const pids = new Set(pools.flatMap(({ stack, floor }) => [servicesOf(stack), floor.fork.pid]));
    const cgroups = new Map<number, CpuCgroup>();
    for (const pid of pids) {
      const cgroup = await openCpuCgroup(pid);
      if (cgroup) cgroups.set(pid, cgroup);
      else
        bench.missing(
          "a part of the runs' CPU time",
          "counting it takes root, and a hierarchy of version 1 of cgroups for cpuacct alone",
        );
    }
    const subjects: Subject<keyof CpuMs>[] = pools.flatMap(
      ({ stack, project, where, floor: { name, fork } }) => {
        const airlock = clients.get(stack) ?? restClient(stack.url);
        const each = async (pid: number, count: number, work: () => Promise<unknown>) => {
          const before = await cpuMsOfTree(pid, cgroups.get(pid));
          await work();
          await delay(REST_MS);
          const after = await cpuMsOfTree(pid, cgroups.get(pid));
          const part = (name: keyof CpuMs) => (after[name] - before[name]) / count;
          return {
            all: part("all"),
            services: part("services"),
            supervisors: part("supervisors"),
            runs: part("runs"),
          };
        };
        const executions = async () => {
          for (let done = 0; done < EXECUTIONS; done++) await execute(airlock, project, SCRIPT);
        };
        const pid = servicesOf(stack);
        return [
          // A fork uses no service, so all of its CPU time counts as the run's.
          {
            name,
            round: async () => {
              const { all } = await each(fork.pid, FORKS, () => fork.run(SCRIPT, FORKS));
              return { all, services: 0, supervisors: 0, runs: all };
            },
          },
          { name: where, floor: name, round: () => each(pid, EXECUTIONS, executions) },
        ];
      },
    );
    try {
      bench.say("CPU of an execution");
      const figures = (await interleave(subjects, ROUNDS)).figures(this.name, "ms", "all");
      return figures.filter(({ median }) => median > 0);
    } finally {
      for (const airlock of clients.values()) airlock.close();
      for (const cgroup of cgroups.values()) await cgroup.remove();
    }
  },
};

function servicesOf(stack: Stack): number {
  return stack.processes["all services"] as number;
}
