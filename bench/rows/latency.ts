import type { Bench, Row } from "../bench.ts";
import { grpcClient } from "../clients/grpc.ts";
import { execute, type Following, type RestClient, restClient } from "../clients/rest.ts";
import { type Figure, figureOf } from "../figure.ts";
import type { Pool } from "../pool.ts";
import { interleave, type Rounds, type Subject, timedEach } from "../rounds.ts";
import { type Percentiles, percentiles } from "../statistics.ts";

export const SCRIPT = 'print("hello")';

type Latency = Subject<keyof Percentiles>;

/** Measures one script after the other, by one client, from the submission until its result has arrived. */
export const latency: Row = {
  name: "latency",
  title: 'latency of `print("hello")`, 1 client',
  async measure(bench) {
    const pools = await bench.pools();
    const forks = new Map(pools.map(({ floor }) => [floor.name, floor.fork]));
    const clients = new Map(pools.map(({ stack }) => [stack, restClient(stack.url)]));
    const grpc = new Map(pools.map(({ stack }) => [stack, grpcClient(stack.routerAddress)]));
    const { perRound } = bench.plan;
    const measured = (
      name: string,
      floor: string,
      work: () => Promise<unknown>,
      count = perRound,
    ): Latency => ({
      name,
      floor,
      round: async () => percentiles(await timedEach(count, work)),
    });
    const rest = (pool: Pool, following: Following): Latency => {
      const airlock = clients.get(pool.stack) ?? restClient(pool.stack.url);
      const work = () => execute(airlock, pool.project, SCRIPT, following);
      return measured(`${pool.where}: REST, ${following}`, pool.floor.name, work);
    };
    const subjects: Latency[] = [
      ...[...forks].map(([name, fork]) => ({
        name,
        round: async () => percentiles(await fork.run(SCRIPT, perRound)),
      })),
      ...pools.flatMap((pool) => [
        rest(pool, "wait"),
        ...(pool.where === "embedded" ? [rest(pool, "poll")] : []),
        ...(pool.stack.name === "docker" || pool.kind !== "plain"
          ? []
          : [
              measured(`${pool.where}: gRPC`, pool.floor.name, async () =>
                grpc.get(pool.stack)?.execute(pool.project, SCRIPT),
              ),
            ]),
      ]),
      ...(await bench.contenders()).map(({ name, run }) => {
        const floor = name.endsWith("pandas") ? "fork, pandas" : "fork";
        const count = name === "Jupyter kernel" ? perRound : bench.plan.perSlowRound;
        return measured(name, floor, () => run(SCRIPT), count);
      }),
    ];
    try {
      bench.say("latency");
      const rounds = await interleave(subjects, bench.plan.rounds);
      return [...rounds.figures(this.name, "ms", "p50"), ...timesAirlock(this.name, rounds)];
    } finally {
      for (const client of [...clients.values(), ...grpc.values()]) client.close();
    }
  },
};

/**
 * The ratio of the start of a container for a script to Airlock's p50 with pandas imported; empty without
 * Docker.
 */
function timesAirlock(row: string, rounds: Rounds<keyof Percentiles>): Figure[] {
  const containers = rounds.samples("docker run");
  if (containers.length === 0) return [];
  const airlock = rounds.samples("embedded, pandas: REST, wait");
  const times = containers.map(({ p50 }, round) => p50 / (airlock[round]?.p50 ?? Number.NaN));
  return [
    figureOf({ row, subject: "docker run ÷ embedded, pandas: REST, wait", metric: "p50", unit: "×" }, times),
  ];
}

/**
 * Runs `work` with a pool and a REST client for it, which is closed afterwards. Other rows use this, too.
 */
export async function withClient<Value>(
  bench: Bench,
  kind: "plain" | "pandas",
  work: (pool: Pool, airlock: RestClient) => Promise<Value>,
): Promise<Value> {
  const pool = await bench.pool(kind);
  const airlock = restClient(pool.stack.url);
  try {
    return await work(pool, airlock);
  } finally {
    airlock.close();
  }
}
