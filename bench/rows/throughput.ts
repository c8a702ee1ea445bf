import type { Row } from "../bench.ts";
import { execute, restClient } from "../clients/rest.ts";
import { type Floor, startFloor } from "../floor.ts";
import { cpus } from "../machine.ts";
import { DISTRIBUTIONS } from "../projects.ts";
import { interleave, type Subject } from "../rounds.ts";
import { SCRIPT } from "./latency.ts";

const FORKS = "fork on all cores";

/** Measures scripts per second while a number of clients submit one after the other. */
export const throughput: Row = {
  name: "throughput",
  title: "scripts per second",
  async measure(bench) {
    const { plan } = bench;
    const pools = (await bench.pools()).filter(({ kind }) => kind === "plain");
    const python = await (await bench.pool("plain")).stack.pythonOf("plain");
    const forks = await Promise.all(
      Array.from({ length: cpus() }, () => startFloor(python, DISTRIBUTIONS.plain)),
    );
    const clients = new Map(pools.map(({ stack }) => [stack, restClient(stack.url)]));
    const subjects: Subject[] = [
      { name: FORKS, round: async () => ({ rate: await forksPerSecond(forks, plan.throughputMs) }) },
    ];
    for (const count of plan.clients) {
      for (const { stack, where, project } of pools) {
        const airlock = clients.get(stack) ?? restClient(stack.url);
        const work = () => execute(airlock, project, SCRIPT);
        subjects.push(subject(where, count, plan.throughputMs, work));
      }
      for (const { name, run } of await bench.contenders()) {
        if (name === "python3 -c" || name === "Jupyter kernel")
          subjects.push(subject(name, count, plan.throughputMs, () => run(SCRIPT)));
      }
    }
    try {
      bench.say("throughput");
      return (await interleave(subjects, plan.throughputRounds)).figures(this.name, "per s");
    } finally {
      for (const airlock of clients.values()) airlock.close();
      for (const fork of forks) await fork.close();
    }
  },
};

function subject(name: string, clients: number, forMs: number, work: () => Promise<unknown>): Subject {
  return {
    name: `${name}, ${clients} ${clients === 1 ? "client" : "clients"}`,
    floor: FORKS,
    round: async () => ({ rate: await ratePerSecond(clients, forMs, work) }),
  };
}

/**
 * Completed scripts per second. Scripts that began within `forMs` are waited for, and that time counts too.
 */
async function ratePerSecond(clients: number, forMs: number, work: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  let done = 0;
  const client = async () => {
    while (performance.now() - from < forMs) {
      await work();
      done++;
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return (done / (performance.now() - from)) * 1_000;
}

async function forksPerSecond(forks: readonly Floor[], forMs: number): Promise<number> {
  const from = performance.now();
  let done = 0;
  const fork = async (floor: Floor) => {
    while (performance.now() - from < forMs) done += (await floor.run(SCRIPT, 20)).length;
  };
  await Promise.all(forks.map(fork));
  return (done / (performance.now() - from)) * 1_000;
}
