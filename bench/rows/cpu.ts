import type { Row } from "../bench.ts";
import { httpClient } from "../clients/http.ts";
import { execute } from "../clients/rest.ts";
import { type CpuMs, cpuMsOfTree } from "../cpu-time.ts";
import { interleave, type Subject } from "../rounds.ts";
import { SCRIPT } from "./latency.ts";

// The kernel counts in steps of 10 ms, which a few executions would not be enough for.
const EXECUTIONS = 60;
const FORKS = 200;
const ROUNDS = 3;

/** CPU that a script costs in all processes together. A busy machine makes it wait for that, but hardly use more. */
export const cpu: Row = {
  name: "cpu",
  title: "CPU of one execution, in all processes but the client's",
  async measure(bench) {
    const pools = (await bench.pools()).filter(({ stack }) => stack.name === "embedded");
    const clients = new Map(pools.map(({ stack }) => [stack, httpClient(stack.url)]));
    const subjects: Subject<keyof CpuMs>[] = pools.flatMap(
      ({ stack, project, where, floor: { name, fork } }) => {
        const http = clients.get(stack) ?? httpClient(stack.url);
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
          for (let done = 0; done < EXECUTIONS; done++) await execute(http, project, SCRIPT);
        };
        const pid = stack.processes["all services"] as number;
        return [
          // Nothing of it is a service.
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
      for (const http of clients.values()) http.close();
    }
  },
};
