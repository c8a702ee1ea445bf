import { readdir, readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { createBackgroundThread } from "#common/event-loop/background-thread.ts";
import type { EchoTask } from "./tasks/echo-task.ts";

const thread = createBackgroundThread<EchoTask, { readonly bytes: Uint8Array }>(
  new URL("./tasks/echo-task.ts", import.meta.url),
);

const working = createBackgroundThread<number, number>(new URL("./tasks/steps-task.ts", import.meta.url));

/** The nice values of this process's threads. */
async function niceValues(): Promise<Set<number>> {
  const values = new Set<number>();
  for (const task of await readdir("/proc/self/task")) {
    const stat = await readFile(`/proc/self/task/${task}/stat`, "utf8").catch(() => "");
    // The name may hold blanks; nice is the 17th field behind it (proc_pid_stat(5)).
    if (stat) values.add(Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]));
  }
  return values;
}

describe("a background thread", () => {
  it("a background thread takes bytes over and returns them, and leaves no copy of them", async () => {
    const bytes = Buffer.allocUnsafeSlow(300_000).fill("x");
    const handed = thread.run({ bytes }, bytes);
    const back = await handed;
    expect(bytes.length).toBe(0);
    expect(Buffer.from(back.bytes).equals(Buffer.alloc(300_000, "x"))).toBe(true);
  });

  it("a background thread has the priority of this process, because scripts that compute would starve a lower one", async () => {
    const own = Number((await readFile("/proc/self/stat", "utf8")).split(") ")[1]?.split(" ")[16]);
    await thread.run({ bytes: new Uint8Array(1) });
    expect(await niceValues()).toEqual(new Set([own]));
  });

  it("a background thread rejects with its task's error, and when the thread ends, and works again after that", async () => {
    await expect(thread.run({ bytes: new Uint8Array(1), end: "throw" })).rejects.toThrow("as told");
    await expect(thread.run({ bytes: new Uint8Array(1), end: "exit" })).rejects.toThrow();
    expect(await thread.run({ bytes: new Uint8Array([7]) })).toEqual({ bytes: new Uint8Array([7]) });
  });

  it("a background thread does its tasks in the order in which they came", async () => {
    const ends: number[] = [];
    const runs = [1, 2, 3].map(async (n) => {
      await thread.run({ bytes: new Uint8Array([n]) });
      ends.push(n);
    });
    await Promise.all(runs);
    expect(ends).toEqual([1, 2, 3]);
  });

  it("a background thread does a short task while longer tasks go on that came before it", async () => {
    const ends: number[] = [];
    const run = (ms: number) => working.run(ms).then((done) => ends.push(done));
    const long = [run(400), run(400), run(400)];
    await run(20);
    expect(ends).toEqual([20]);
    await Promise.all(long);
  });

  it("a background thread gives up the task of a caller that has gone, before or during its work, and no other task", async () => {
    const gone = new AbortController();
    const began = performance.now();
    const others = working.run(50);
    const tasks = [working.run(60_000, undefined, gone.signal), working.run(60_000, undefined, gone.signal)];
    const refused = Promise.all(tasks.map((task) => expect(task).rejects.toThrow("cancelled")));
    await others;
    gone.abort();
    await refused;
    await expect(working.run(60_000, undefined, gone.signal)).rejects.toThrow("cancelled");
    expect(performance.now() - began).toBeLessThan(20_000);
    expect(await working.run(1)).toBe(1);
  });
});
