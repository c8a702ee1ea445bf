import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Execution } from "#sdk/execution.ts";
import { startAirlock, type TestAirlock } from "../harness/airlock.ts";
import { type RestClient, restClient } from "../harness/rest.ts";
import { longLived } from "./harness/traces.ts";

const PROJECT =
  "replicas: 1\nlimits: {timeout: 60, memory_mb: 64, disk_mb: 32, pids: 32, cpus: 0.25, max_result_mb: 1}\n";
const KILLED = /all processes of a run together may have 64 MB, and its files 32 MB/;

/** A script within every limit that counts for one process or one file, and what becomes of it. */
type WholeRunCase = {
  readonly name: string;
  readonly code: string;
  readonly whereLimited: (execution: Execution) => void;
  readonly elsewhere: (execution: Execution) => void;
};

function endsAs(end: string): (execution: Execution) => void {
  return (execution) => expect(execution.end_reason, JSON.stringify(execution)).toBe(end);
}

function isKilled(execution: Execution): void {
  expect([execution.status, execution.end_reason]).toEqual(["error", "out_of_memory"]);
  expect(execution.error).toMatch(KILLED);
}

const CASES: readonly WholeRunCase[] = [
  {
    name: "memory of many processes",
    code: `
import os, time
for _ in range(6):
    told, tell = os.pipe()
    if os.fork() == 0:
        x = bytearray(48 << 20)
        os.write(tell, b"x")
        os.read(os.pipe()[0], 1)
    os.close(tell)
    os.read(told, 1)
time.sleep(0.2)
set_result(6 - sum(os.waitpid(-1, os.WNOHANG)[0] > 0 for _ in range(6)))`,
    // Version 1 of cgroups kills processes one by one, version 2 the run.
    whereLimited: (execution) =>
      execution.end_reason === "completed"
        ? expect(execution.result).toBeLessThanOrEqual(3)
        : isKilled(execution),
    // The worker looks at them all, and stops the run.
    elsewhere: isKilled,
  },
  {
    name: "memory behind descriptors",
    code: "import os\nfor _ in range(25): os.write(os.memfd_create('m'), bytes(16 << 20))",
    whereLimited: isKilled,
    elsewhere: endsAs("completed"),
  },
  {
    name: "memory in System V segments",
    code: `
import ctypes
libc = ctypes.CDLL(None)
libc.shmat.restype = ctypes.c_void_p
for _ in range(25):
    place = libc.shmat(libc.shmget(0, 16 << 20, 0o1600), None, 0)
    ctypes.memset(place, 1, 16 << 20)
    libc.shmdt(ctypes.c_void_p(place))`,
    whereLimited: isKilled,
    elsewhere: endsAs("completed"),
  },
  {
    name: "a full disk and full memory, each within its limit",
    code: "open('a', 'wb').write(bytes(30 << 20))\nx = bytearray(b'x' * (28 << 20))",
    whereLimited: endsAs("completed"),
    elsewhere: endsAs("completed"),
  },
  {
    name: "as many processes as there may be",
    code: `
import os
count = 0
try:
    while True:
        if os.fork() == 0: os.read(os.pipe()[0], 1)
        count += 1
except OSError: set_result(count)`,
    // The script is one of them.
    whereLimited: (execution) => expect(execution.result).toBe(31),
    elsewhere: (execution) => expect(execution.result).toBe(31),
  },
  {
    name: "busy processes",
    code: `
import os, time
begin = time.monotonic()
children = [os.fork() for _ in range(4)]
if 0 not in children:
    for _ in children: os.wait()
    used = sum(os.times()[:4])
    set_result(used / (time.monotonic() - begin))
else:
    while time.monotonic() < begin + 2: pass
    os._exit(0)`,
    whereLimited: (execution) => expect(execution.result).toBeLessThan(0.5),
    // How much a machine without the limit gives depends on what else it does.
    elsewhere: endsAs("completed"),
  },
];

let airlock: TestAirlock;
let rest: RestClient;
let limited: boolean;

beforeAll(async () => {
  airlock = await startAirlock({ projects: { demo: PROJECT } });
  rest = restClient(airlock.url);
  await rest.run({ code: "pass" });
  const { isolation_layers: layers } = await rest.project("demo");
  limited = layers.some(({ name, in_force }) => name === "cgroup" && in_force);
});
afterAll(() => airlock.remove());

describe("the limits of a run as a whole", () => {
  it.each(CASES)(
    "a run with $name is limited as a whole where the layer cgroup is in force",
    async ({ code, whereLimited, elsewhere }) => {
      const before = await longLived(airlock.pid);
      const execution = await rest.run({ code, timeout: 30 });
      (limited ? whereLimited : elsewhere)(execution);
      const next = await rest.run({ code: "x = bytearray(50 << 20)\nset_result(len(x))" });
      expect([next.end_reason, next.result]).toEqual(["completed", 50 << 20]);
      expect(await longLived(airlock.pid)).toEqual(before);
    },
  );
});
