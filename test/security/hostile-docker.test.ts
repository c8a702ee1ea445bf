import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import {
  type DockerAirlock,
  describeWithEngine,
  docker,
  RUNTIMES,
  startDockerAirlock,
} from "../support/docker.ts";
import { type RestClient, restClient } from "../support/rest.ts";
import type { HostileCase } from "./cases.ts";
import { DATA } from "./data.ts";
import { DESCRIPTORS } from "./descriptors.ts";
import { FILES } from "./files.ts";
import { expectItsEnd, play } from "./play.ts";
import { PROCESSES } from "./processes.ts";
import { RESOURCES } from "./resources.ts";
import { SYSTEM_CALLS } from "./system-calls.ts";

const PROJECT =
  "replicas: 1\nlimits: {timeout: 30, memory_mb: 256, disk_mb: 16, pids: 32, max_result_mb: 1}\n";
const READY = { timeout: 30_000 };

// The image has Python 3.13, whose stack a recursion may use up before its memory.
const IN_CONTAINERS: Readonly<Record<string, Partial<HostileCase>>> = {
  "a recursion without limit": { ends: ["out_of_memory", "timeout", "killed"] },
};

// gVisor has no limit of processes for one run: who counts them from outside ends the run.
const COUNTED: Partial<HostileCase> = { ends: ["killed", "timeout", "script_error"] };
// It lets a script end or stop process 1 of its namespace, and all of its own run with it.
const ENDS_ITSELF: Partial<HostileCase> = { ends: ["completed", "script_error", "killed"] };
// What it calls writable is more; what counts is that nothing was there before.
const NOTHING_LEFT: Partial<HostileCase> = { value: [[], expect.any(Array), true] };

const ON_GVISOR: Readonly<Record<string, Partial<HostileCase>>> = {
  "a fork bomb": COUNTED,
  "a fork bomb that gives up": COUNTED,
  "a fork bomb of daemons": COUNTED,
  "a bomb of programs": COUNTED,
  "os.kill(os.getppid(), 9)": ENDS_ITSELF,
  "os.kill(os.getppid(), 19)": ENDS_ITSELF,
  "os.kill(1, 9)": ENDS_ITSELF,
  "signals to all process numbers": ENDS_ITSELF,
  // A number without effect: gVisor has no priorities.
  "limits cannot be raised": { value: ["priority"] },
  // The descriptors cannot be opened; the namespaces are the run's own.
  "the memory of process 1": { value: ["descriptors", "namespaces"] },
  // They are gVisor's own.
  "reading /proc/cmdline": { value: ["/proc/cmdline"] },
  "reading /proc/sys": { value: expect.arrayContaining(["kernel", "fs", "vm", "net"]) },
  "writing outside its own places": {
    value: ["/proc/self/comm", "/proc/self/oom_score_adj", "/proc/self/uid_map"],
  },
  "leftovers in every writable place: files": NOTHING_LEFT,
  "leftovers in every writable place: directories nobody may enter": NOTHING_LEFT,
  "leftovers in every writable place: links out": NOTHING_LEFT,
  "leftovers in every writable place: hard links": NOTHING_LEFT,
  "leftovers in every writable place: pipes": NOTHING_LEFT,
};

for (const { runtime, line } of RUNTIMES) {
  await describeWithEngine(`in containers of ${runtime}`, runtime, () => {
    let airlock: DockerAirlock;
    let rest: RestClient;
    beforeAll(async () => {
      airlock = await startDockerAirlock({ projects: { demo: `${line}${PROJECT}` } });
      rest = restClient(airlock.url);
      await rest.run({ code: "pass" });
      await vi.waitUntil(async () => (await rest.project("demo")).idle_workers === 1, READY);
    });
    afterAll(() => airlock?.remove());

    describe.each([
      ["resources", RESOURCES],
      ["processes", [...PROCESSES, ...DESCRIPTORS, ...SYSTEM_CALLS]],
      ["files", FILES],
      ["data", DATA],
    ])("%s: a hostile script ends as it should and the next run is healthy", (_, cases) => {
      // Those that need nothing around them but the service.
      const alone = cases.filter(({ meanwhile, afterwards }) => !meanwhile && !afterwards);
      for (const each of alone) {
        const here = { ...each, ...IN_CONTAINERS[each.name] };
        const hostile = runtime === "runsc" ? { ...here, ...ON_GVISOR[each.name] } : here;
        it(hostile.name, { timeout: 90_000 }, async () => {
          await expectItsEnd(hostile, await play(hostile, rest), rest);
        });
      }
    });

    it("leaves one container, and in it the processes that were there before", async () => {
      await expect.poll(async () => (await airlock.traces()).containers.length, READY).toBe(1);
      const [container] = (await airlock.traces()).containers;
      const processes = async () =>
        (await docker.getContainer(container?.Id as string).top()).Processes.length;
      await expect.poll(async () => (await rest.project("demo")).idle_workers, READY).toBe(1);
      // init, supervisor, zygote, and two spares of two each; in gVisor the engine sees only the sandbox.
      await expect.poll(processes, READY).toBeLessThanOrEqual(7);
    });
  });
}
