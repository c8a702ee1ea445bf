import type { Row } from "../bench.ts";
import { execute, restClient } from "../clients/rest.ts";
import { cpus } from "../machine.ts";
import { BURST } from "../plan.ts";
import { interleave, type Subject, timed } from "../rounds.ts";
import { median, quantile } from "../statistics.ts";
import { SCRIPT } from "./latency.ts";

/**
 * Measures many scripts that are sent at the same moment: the time until half, 95 % and all of them have
 * answered.
 */
export const burst: Row = {
  name: "burst",
  title: `${BURST} scripts at once; ratio to ${BURST} × fork ÷ ${cpus()} cores`,
  async measure(bench) {
    const pools = await bench.pools();
    const { plan } = bench;
    const clients = new Map(pools.map(({ stack }) => [stack, restClient(stack.url)]));
    const burstOf = async (work: () => Promise<unknown>) => {
      const times = await Promise.all(Array.from({ length: BURST }, () => timed(work)));
      return { p50: median(times), p95: quantile(times, 0.95), all: Math.max(...times) };
    };
    const subjects: Subject<"p50" | "p95" | "all">[] = [
      ...new Map(pools.map(({ floor }) => [floor.name, floor.fork])),
    ].map(([name, fork]) => ({
      name,
      // The floor of a burst: the time that the cores would need for the forks alone, if they shared them
      // evenly.
      round: async () => {
        const all = (median(await fork.run(SCRIPT, BURST)) * BURST) / cpus();
        return { p50: all, p95: all, all };
      },
    }));
    for (const { stack, where, project, floor } of pools) {
      const airlock = clients.get(stack) ?? restClient(stack.url);
      const round = () => burstOf(() => execute(airlock, project, SCRIPT));
      subjects.push({ name: where, floor: floor.name, round });
    }
    for (const contender of await bench.contenders()) {
      // These contenders are left out of smaller plans, because 50 containers or imports of pandas keep a
      // small machine busy for half a minute.
      if (/docker|pandas/.test(contender.name) && plan.name !== "full") continue;
      const floor = contender.name.endsWith("pandas") ? "fork, pandas" : "fork";
      subjects.push({ name: contender.name, floor, round: () => burstOf(() => contender.run(SCRIPT)) });
    }
    try {
      bench.say("burst");
      return (await interleave(subjects, plan.bursts)).figures(this.name, "ms", "p95");
    } finally {
      for (const airlock of clients.values()) airlock.close();
    }
  },
};
