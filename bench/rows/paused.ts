import { treeOf } from "../../test/support/process-tree.ts";
import type { Row } from "../bench.ts";
import { type RestClient, restClient, submit } from "../clients/rest.ts";
import { type Figure, figureOf } from "../figure.ts";
import { availableMb, memoryOfAll, memoryOfTree } from "../process-memory.ts";
import { PROJECTS } from "../projects.ts";
import { startEmbeddedStack } from "../stacks/embedded.ts";
import { warmUp } from "../stacks/stack.ts";

const CLIENTS = 16;
// Share of the machine's memory that must stay free.
const SPARE_PART = 0.2;

/** Measures how much memory each paused execution needs. */
export const paused: Row = {
  name: "paused",
  title: "memory of a paused execution",
  async measure(bench) {
    bench.say("paused executions");
    const stack = await startEmbeddedStack({ projects: { plain: PROJECTS.plain } });
    const airlock = restClient(stack.url);
    const pid = stack.processes["all services"] as number;
    const figures: Figure[] = [];
    try {
      await warmUp(stack, "plain");
      const others = new Set(await treeOf(pid));
      const before = { tree: (await memoryOfTree(pid)).privateMb, machine: await availableMb() };
      let count = 0;
      for (const wanted of bench.plan.pausedCounts) {
        const sofar = await availableMb();
        const each = count > 0 ? (before.machine - sofar) / count : 0;
        if (sofar - each * (wanted - count) < before.machine * SPARE_PART) {
          bench.missing(`${wanted} paused executions`, "this machine has not the memory");
          break;
        }
        await pauseMore(airlock, wanted - count);
        count = wanted;
        const privateMb = ((await memoryOfTree(pid)).privateMb - before.tree) / count;
        const machineMb = (before.machine - (await availableMb())) / count;
        const own = await memoryOfAll((await treeOf(pid)).filter((each) => !others.has(each)));
        const figure = (metric: string, mb: number) =>
          figureOf({ row: this.name, subject: pausedName(count), metric, unit: "MB" }, [mb]);
        figures.push(
          figure("private, each", privateMb),
          figure("of that in its own processes", own.privateMb / count),
          figure("of the machine, each", machineMb),
        );
      }
      return figures;
    } finally {
      airlock.close();
      await stack.close();
    }
  },
};

/** The name of a number of paused executions in the table. */
export function pausedName(count: number): string {
  return `${count.toLocaleString("en")} paused`;
}

async function pauseMore(airlock: RestClient, count: number): Promise<void> {
  let left = count;
  const client = async () => {
    while (left-- > 0) {
      const id = await submit(airlock, "plain", 'llm.complete("?")');
      const { status, error } = await airlock.executions.wait(id);
      if (status !== "awaiting_llm") throw new Error(`a script that asks ended as ${status}: ${error}`);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
}
