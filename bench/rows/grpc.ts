import type { Row } from "../bench.ts";
import { findGhz, type GhzCall, runGhz } from "../clients/ghz.ts";
import { execute } from "../clients/rest.ts";
import type { Figure } from "../figure.ts";
import { interleave, type Subject } from "../rounds.ts";
import { type Percentiles, percentiles } from "../statistics.ts";
import { SCRIPT, withClient } from "./latency.ts";

const READS = 300;

/**
 * Measures single calls of the router with ghz instead of our own client: submitting an execution, and
 * reading one that has ended.
 */
export const grpc: Row = {
  name: "grpc",
  title: "one call of the router, by ghz",
  async measure(bench) {
    const ghz = await findGhz(process.env);
    if (!ghz) {
      bench.missing(
        "gRPC with ghz",
        "there is no ghz on PATH or in AIRLOCK_CI_TOOLS (.ci/tools/build DIR ghz makes it)",
      );
      return [];
    }
    const { perRound, rounds } = bench.plan;
    return await withClient(bench, "plain", async ({ stack, project, floor }, airlock): Promise<Figure[]> => {
      bench.say("single calls by ghz");
      const { execution_id: executionId } = await execute(airlock, project, SCRIPT);
      const calling = (call: Omit<GhzCall, "address">) => async (): Promise<Percentiles> => {
        const { p50, p95, p99 } = await runGhz(ghz, { ...call, address: stack.routerAddress });
        // Waits until the submitted executions have run, because this one is queued behind them.
        await execute(airlock, project, SCRIPT);
        return { p50, p95, p99 };
      };
      const submit = { rpc: "Submit", request: { project, code: SCRIPT }, count: perRound };
      const read = { rpc: "GetExecution", request: { execution_id: executionId }, count: READS };
      const subjects: Subject<keyof Percentiles>[] = [
        { name: floor.name, round: async () => percentiles(await floor.fork.run(SCRIPT, perRound)) },
        { name: "Submit, 1 client", floor: floor.name, round: calling({ ...submit, clients: 1 }) },
        { name: "GetExecution, 1 client", floor: floor.name, round: calling({ ...read, clients: 1 }) },
        { name: "GetExecution, 16 clients", floor: floor.name, round: calling({ ...read, clients: 16 }) },
      ];
      return (await interleave(subjects, Math.min(rounds, 5))).figures(this.name, "ms", "p50");
    });
  },
};
