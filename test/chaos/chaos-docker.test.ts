import { afterAll, beforeAll, describe, it } from "vitest";
import {
  type PrivateEngine,
  privateEngineMissing,
  startPrivateEngine,
} from "../harness/docker/private-engine.ts";
import { postgresMissing } from "../harness/postgres.ts";
import { itEndsOnce } from "./ends-once.ts";
import { workersInContainers } from "./workers-in-containers.ts";

// Like chaos.test.ts, with the test's own Docker engine; when it is killed, it starts again two seconds later. Run on
// 2026-11-22 on two cores, no problem: 502 executions with 74 faults in 323 s (seed 2075547631), 481 ended as
// written, 19 worker_lost and 2 killed; with live-restore 502 with 74 faults in 266 s (the same seed), all as
// written.
const BASE = "python:3.12-slim";
const HOOK_MS = 240_000;
const FAULT_EVERY_MS = [2_000, 5_000] as const;
const missing = postgresMissing() ?? (await privateEngineMissing());

describe("chaos with workers in containers", () => {
  if (missing)
    return it("every accepted execution ends, with workers in containers", (context) =>
      context.skip(missing));
  let engine: PrivateEngine;
  beforeAll(async () => {
    engine = await startPrivateEngine(BASE);
    // The harness starts the engine, and starts it again whenever it dies.
    await engine.stop();
  }, HOOK_MS);
  afterAll(() => engine?.close(), HOOK_MS);
  const withLiveRestore = (liveRestore: boolean) => () => {
    engine.liveRestore = liveRestore;
    return workersInContainers(engine);
  };

  describe("whose engine ends them when it comes back", () => {
    itEndsOnce({ openWorkerHost: withLiveRestore(false), executions: 60, faultEveryMs: FAULT_EVERY_MS });
  });

  describe("that outlive their engine (live-restore)", () => {
    itEndsOnce({
      openWorkerHost: withLiveRestore(true),
      executions: 30,
      faultEveryMs: FAULT_EVERY_MS,
      // None of these faults ends a run.
      faults: ["kill engine", "freeze engine", "kill pool-manager", "kill router"],
    });
  });
});
