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
import { FILES } from "./files.ts";
import { PROCESSES } from "./processes.ts";
import { RESOURCES } from "./resources.ts";

const PROJECT =
  "replicas: 1\nlimits: {timeout: 30, memory_mb: 256, disk_mb: 16, pids: 32, max_result_mb: 1}\n";
const READY = { timeout: 30_000 };

// What differs under gVisor, where /proc is not of this machine and a process may write what concerns only itself.
const ON_GVISOR: Readonly<Record<string, Partial<HostileCase>>> = {
  // Forking is slower than counting there.
  "a fork bomb that gives up": { ends: ["script_error", "killed"] },
  // It lets a script end process 1 of its namespace, and all of its run with it.
  "a signal to the parent": { ends: ["completed", "script_error", "killed"] },
  // A number without effect: gVisor has no priorities.
  "limits cannot be raised": { value: ["priority"] },
  // They cannot be opened.
  "the memory of process 1": { value: ["descriptors"] },
  "reading /proc/sys": { value: expect.arrayContaining(["kernel", "fs", "vm", "net"]) },
  "writing outside its own places": {
    value: ["/proc/self/comm", "/proc/self/oom_score_adj", "/proc/self/uid_map"],
  },
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
      ["processes", PROCESSES],
      ["files", FILES],
      ["data", DATA],
    ])("%s: a hostile script ends as it should and the next run is healthy", (_, cases) => {
      const known = cases.map((each) => (runtime === "runsc" ? { ...each, ...ON_GVISOR[each.name] } : each));
      it.each(known)("$name", { timeout: 60_000 }, async ({ name, code, ends, value }) => {
        const execution = await rest.run({ code, timeout: 2 });
        expect(ends, JSON.stringify({ ...execution, stdout: execution.stdout.slice(0, 200) })).toContain(
          execution.end_reason,
        );
        if (value !== undefined) expect(execution.result).toEqual(value);
        if (/entry$/.test(name)) expect(execution.stdout).not.toContain("entered");
        const next = await rest.run({ code: "print('fine')\nset_result(1)" });
        expect([next.end_reason, next.result, next.stdout]).toEqual(["completed", 1, "fine\n"]);
      });
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
