import { afterAll, beforeAll, expect, it } from "vitest";
import { type DockerAirlock, describeWithEngine, startDockerAirlock } from "../../harness/docker/classes.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";

// Memory that is no process's own: only the kernel sees it.
const MEMFDS = 'import os\nwhile True: os.write(os.memfd_create("m"), b"x" * (16 << 20))';
const THREADS = `
import threading, time
for _ in range(60): threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
llm.complete("?")`;
// More runs than fill the 1,088 processes and threads of the container.
const MOST_RUNS = 24;

await describeWithEngine("what a worker's container has no more of", "runc", () => {
  let airlock: DockerAirlock;
  let rest: RestClient;
  beforeAll(async () => {
    airlock = await startDockerAirlock({
      projects: { demo: "replicas: 1\nlimits: {memory_mb: 64, disk_mb: 16, pids: 64}\n" },
    });
    rest = restClient(airlock.url);
    await rest.run({ code: "pass" });
  }, 180_000);
  afterAll(() => airlock?.remove());

  it("a run in a container that the kernel kills for its memory ends as out_of_memory", async () => {
    const ended = await rest.run({ code: MEMFDS });
    expect(ended).toMatchObject({ status: "error", end_reason: "out_of_memory" });
    expect(ended.error).toContain("The kernel killed the script for lack of memory");
  }, 60_000);

  it("a run in a container that is refused a process is told about the paused executions that hold processes", async () => {
    const paused: string[] = [];
    let refused: string | null | undefined;
    while (refused === undefined && paused.length < MOST_RUNS) {
      const id = await rest.submit({ code: THREADS });
      const { status, error } = await rest.settled(id);
      if (status === "awaiting_llm") paused.push(id);
      else refused = error;
    }
    for (const id of paused) await rest.respond(id, "go on");
    expect(refused).toContain(
      "with those of paused executions. Respond to some of these executions, or cancel them.",
    );
    expect(refused).not.toContain("pids in the project's limits");
  }, 180_000);
});
