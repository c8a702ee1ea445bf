import type { Row } from "../bench.ts";
import { execute, restClient } from "../clients/rest.ts";
import { interleave, type Subject, timed } from "../rounds.ts";
import { median } from "../statistics.ts";

const SIZES = { "1 kB": 1_000, "1 MB": 1_000_000, "10 MB": 10_000_000 } as const;

/** Measures scripts that print much, until the client has read the last byte. */
export const output: Row = {
  name: "output",
  title: "output of 1 kB, 1 MB and 10 MB; ratio to a fork that prints as much",
  async measure(bench) {
    const all = (await bench.pools()).filter(({ kind }) => kind === "plain");
    const pools = bench.plan.name === "full" ? all : all.slice(0, 1);
    const clients = new Map(pools.map(({ stack }) => [stack, restClient(stack.url)]));
    const subjects = new Map<string, Subject<keyof typeof SIZES>>();
    for (const { stack, where, project, floor } of pools) {
      const airlock = clients.get(stack) ?? restClient(stack.url);
      const round = (work: (bytes: number) => Promise<number>) => async () => ({
        "1 kB": await work(SIZES["1 kB"]),
        "1 MB": await work(SIZES["1 MB"]),
        "10 MB": await work(SIZES["10 MB"]),
      });
      subjects.set(floor.name, {
        name: floor.name,
        round: round(async (bytes) => median(await floor.fork.run(printing(bytes), 3))),
      });
      const seen = async (bytes: number) => {
        const { stdout } = await execute(airlock, project, printing(bytes));
        if (stdout.length !== bytes) throw new Error(`${stdout.length} bytes of ${bytes} came out`);
      };
      subjects.set(where, {
        name: where,
        floor: floor.name,
        round: round((bytes) => timed(() => seen(bytes))),
      });
    }
    try {
      bench.say("outputs");
      return (await interleave([...subjects.values()], bench.plan.outputRounds)).figures(this.name, "ms");
    } finally {
      for (const airlock of clients.values()) airlock.close();
    }
  },
};

function printing(bytes: number): string {
  return `line = "measured " * 11 + "\\n"\nprint((line * ${Math.ceil(bytes / 100)})[:${bytes}], end="")`;
}
