import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Row } from "../bench.ts";
import { type Figure, figureOf } from "../figure.ts";
import { memoryOf, memoryOfTree } from "../process-memory.ts";
import { PROJECTS } from "../projects.ts";
import { startEmbeddedStack } from "../stacks/embedded.ts";
import { type Stack, warmUp } from "../stacks/stack.ts";

/** Measures the memory of each service after some work. */
export const memory: Row = {
  name: "memory",
  title: "resident memory; ratio to Node alone",
  async measure(bench) {
    const figure = (subject: string, mb: number, floorMb: number) =>
      figureOf({ row: this.name, subject, metric: "resident", unit: "MB" }, [mb], [floorMb]);
    bench.say("resident memory");
    const alone = await residentOfNode();
    const figures: Figure[] = [figure("Node alone", alone, alone)];
    const stack = await startEmbeddedStack({ projects: { plain: PROJECTS.plain } });
    try {
      await warmUp(stack, "plain");
      const pid = stack.processes["all services"] as number;
      const own = await memoryOf(pid);
      const all = await memoryOfTree(pid);
      figures.push(
        figure("embedded: all services", own.residentMb, alone),
        figure(
          "embedded: with two workers and their spares",
          own.residentMb + all.shareMb - own.shareMb,
          alone,
        ),
      );
    } finally {
      await stack.close();
    }
    const apart = (await bench.pools()).find(({ stack: { name } }) => name === "postgres")?.stack;
    return [...figures, ...(await servicesOf(apart, (name, mb) => figure(name, mb, alone)))];
  },
};

async function servicesOf(
  stack: Stack | undefined,
  figure: (subject: string, mb: number) => Figure,
): Promise<Figure[]> {
  if (!stack) return [];
  return await Promise.all(
    Object.entries(stack.processes).map(async ([name, pid]) =>
      figure(`PostgreSQL: ${name}`, (await memoryOf(pid)).residentMb),
    ),
  );
}

async function residentOfNode(): Promise<number> {
  const child = spawn(process.execPath, ["-e", "console.log(1); setInterval(() => {}, 1e9)"]);
  const closed = once(child, "close");
  await once(child.stdout, "data");
  const { residentMb } = await memoryOf(child.pid as number);
  child.kill();
  await closed;
  return residentMb;
}
