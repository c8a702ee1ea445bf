import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { DEMANDING } from "../../test/harness/demanding.ts";
import type { Row } from "../bench.ts";
import { execute, restClient } from "../clients/rest.ts";
import { cpuMsOfTree } from "../cpu-time.ts";
import { figureOf } from "../figure.ts";
import { interleave, type Subject, timedEach } from "../rounds.ts";
import { startEmbeddedStack } from "../stacks/embedded.ts";
import { percentiles } from "../statistics.ts";
import { SCRIPT } from "./latency.ts";

const EXECUTIONS = 60;
const FORKS = 400;
const ROUNDS = 9;
const NS_PER_MS = 1_000_000;

const FORK = "fork";
const OFF = "without a key";
export const REQUIRED = "with a key";
export const COST = "(with − without a key) ÷ fork";

/**
 * Measures what identity costs: the same executions by two deployments, of which one demands an API key. The CPU
 * time is that of the services alone, because identity changes nothing in the processes of runs.
 */
export const identity: Row = {
  name: "identity",
  title: "an execution with an API key (`AIRLOCK_AUTH=required`) beside one without",
  async measure(bench) {
    const { floor } = await bench.pool("plain");
    bench.say("identity");
    const off = await startEmbeddedStack();
    const required = await startEmbeddedStack({ env: DEMANDING });
    const key = (await readFile(join(required.dataDirectory, "admin-key"), "utf8")).trim();
    const clients = [restClient(off.url), restClient(required.url, undefined, key)] as const;
    const subject = (name: string, at: 0 | 1, pid: number | undefined): Subject<"p50" | "cpu"> => ({
      name,
      ...(at === 1 && { floor: OFF }),
      round: async () => {
        const before = await cpuMsOf(pid);
        const times = await timedEach(EXECUTIONS, () => execute(clients[at], "plain", SCRIPT));
        return { p50: percentiles(times).p50, cpu: ((await cpuMsOf(pid)) - before) / EXECUTIONS };
      },
    });
    const fork: Subject<"p50" | "cpu"> = {
      name: FORK,
      round: async () => {
        const before = await cpuMsOfTree(floor.fork.pid);
        const times = await floor.fork.run(SCRIPT, FORKS);
        const { all } = await cpuMsOfTree(floor.fork.pid);
        return { p50: percentiles(times).p50, cpu: (all - before.all) / FORKS };
      },
    };
    const subjects = [
      fork,
      subject(OFF, 0, off.processes["all services"]),
      subject(REQUIRED, 1, required.processes["all services"]),
    ];
    try {
      // The first executions compile code, which the later ones find.
      for (const { round } of subjects) await round();
      const rounds = await interleave(subjects, ROUNDS);
      const cpuOf = (name: string, round: number) => rounds.samples(name)[round]?.cpu ?? Number.NaN;
      const costs = rounds
        .samples(REQUIRED)
        .map(({ cpu }, round) => (cpu - cpuOf(OFF, round)) / cpuOf(FORK, round));
      return [
        ...rounds.figures(this.name, "ms"),
        figureOf({ row: this.name, subject: COST, metric: "cpu", unit: "×" }, costs),
      ];
    } finally {
      for (const client of clients) client.close();
      await Promise.all([off.close(), required.close()]);
    }
  },
};

/** CPU time of a process so far, in milliseconds: of its threads that live, as exactly as the kernel counts it. */
async function cpuMsOf(pid: number | undefined): Promise<number> {
  const threads = await readdir(`/proc/${pid}/task`);
  const texts = await Promise.all(
    threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/schedstat`, "utf8").catch(() => "0")),
  );
  return texts.reduce((total, text) => total + Number(text.split(" ")[0]), 0) / NS_PER_MS;
}
