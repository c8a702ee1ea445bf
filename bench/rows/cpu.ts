import type { Row } from "../bench.ts";
import { execute, restClient } from "../clients/rest.ts";
import { type CpuMs, cpuMsOfTree } from "../cpu-time.ts";
import { interleave, type Subject } from "../rounds.ts";
import { SCRIPT } from "./latency.ts";

// Executions in a round. A few would not be enough, because the kernel counts CPU time in steps of 10 ms.
const EXECUTIONS = 60;
const FORKS = 200;
const ROUNDS = 3;

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
    const subjects: Subject<keyof CpuMs>[] = pools.flatMap(
      ({ stack, project, where, floor: { name, fork } }) => {
        const airlock = clients.get(stack) ?? restClient(stack.url);
        const each = async (pid: number, count: number, work: () => Promise<unknown>) => {
          const before = await cpuMsOfTree(pid);
          await work();
          const after = await cpuMsOfTree(pid);
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
        const pid = stack.processes["all services"] as number;
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
    }
  },
};
