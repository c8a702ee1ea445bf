import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWithEngine, RUNTIMES } from "../harness/docker/classes.ts";
import type { HostileCase } from "./cases/cases.ts";
import { runGroups } from "./harness/groups.ts";
import { type HostileHarness, startHostileHarness } from "./harness/hostile-harness.ts";
import { inContainers } from "./harness/in-containers.ts";
import { expectNothingStored, expectToAnswer } from "./harness/suite.ts";

// The image has Python 3.13, whose stack a recursion may use up before its memory.
const IN_CONTAINERS: Readonly<Record<string, Partial<HostileCase>>> = {
  "a recursion without limit": { ends: ["out_of_memory", "timeout", "killed"] },
};

// gVisor has no limit of processes for one run; the worker counts them from outside and ends the run.
const COUNTED: Partial<HostileCase> = { ends: ["killed", "timeout", "script_error"] };
// gVisor lets a script end or stop process 1 of its namespace, and with it its whole run. The worker is replaced when
// a run was killed for an unknown reason.
const ENDS_ITSELF: Partial<HostileCase> = {
  ends: ["completed", "script_error", "killed"],
  replacesWorker: "perhaps",
};
// gVisor reports more directories as writable; only the list of files that were there before is compared.
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
  // These files are gVisor's own.
  "reading /proc/cmdline": { value: ["/proc/cmdline"] },
  "reading /proc/sys": { value: expect.arrayContaining(["kernel", "fs", "vm", "net"]) },
  "writing outside its own places": {
    value: ["/proc/self/comm", "/proc/self/oom_score_adj", "/proc/self/uid_map"],
  },
  // An option without effect: there is nothing in its network whose traffic could be taken.
  "another shape for its network": { value: ["transparent"] },
  "leftovers in every writable place: files": NOTHING_LEFT,
  "leftovers in every writable place: directories without permissions": NOTHING_LEFT,
  "leftovers in every writable place: links out": NOTHING_LEFT,
  "leftovers in every writable place: hard links": NOTHING_LEFT,
  "leftovers in every writable place: pipes": NOTHING_LEFT,
};

for (const { runtime, line } of RUNTIMES) {
  await describeWithEngine(`in containers of ${runtime}`, runtime, () => {
    let harness: HostileHarness;
    beforeAll(async () => {
      harness = await startHostileHarness(inContainers(line));
    }, 300_000);
    afterAll(() => harness?.close(), 120_000);

    it(`the hosts and sockets that scripts in containers of ${runtime} must not reach answer from outside`, () =>
      expectToAnswer(harness));

    runGroups(
      () => harness,
      (hostile) => ({
        ...hostile,
        ...IN_CONTAINERS[hostile.name],
        ...(runtime === "runsc" && ON_GVISOR[hostile.name]),
      }),
    );

    it(`no secret of hostile scripts in containers of ${runtime} can be read in what is stored, logged or counted`, () =>
      expectNothingStored(harness));
  });
}
