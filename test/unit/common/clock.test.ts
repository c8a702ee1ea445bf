import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, it } from "vitest";

const CLOCK = join(import.meta.dirname, "..", "..", "..", "services", "common", "resilience", "clock.ts");
// A message takes a moment to be handled, like an answer that is still to be redacted.
const TELLS = `import { setTimeout as sleep } from "node:timers/promises";
const { systemClock } = await import(process.argv[1]);
const end = (how) => { console.log(how); process.exit(); };
const stopTimer = systemClock.after(1_000, () => end("too late"));
process.stdin.on("data", async () => { await sleep(50); stopTimer(); end("in time"); });
console.log("begun");
process.kill(process.pid, "SIGSTOP");`;

let child: ChildProcess;
let told = "";
let closed: Promise<unknown>;

afterEach(() => {
  child.kill("SIGKILL");
});

async function begin(): Promise<void> {
  told = "";
  child = spawn(process.execPath, ["--input-type=module", "--eval", TELLS, CLOCK]);
  closed = once(child, "close");
  child.stdout?.on("data", (data) => {
    told += data;
  });
  await expect.poll(() => told).toBe("begun\n");
}

it("a timer of a process that was stopped lets messages that came meanwhile be handled first", async () => {
  await begin();
  child.stdin?.write("answer");
  await sleep(2_500);
  child.kill("SIGCONT");
  await closed;
  expect(told).toBe("begun\nin time\n");
});

it("a timer fires in a process that receives nothing", async () => {
  await begin();
  await sleep(2_500);
  child.kill("SIGCONT");
  await closed;
  expect(told).toBe("begun\ntoo late\n");
});
