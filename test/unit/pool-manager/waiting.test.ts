import { expect, it } from "vitest";
import { parseProjectFile } from "#common/projects/file.ts";
import { WaitingKind } from "#proto/execution.ts";
import type { PoolView } from "../../../services/pool-manager/pool/view.ts";
import { describeWaiting } from "../../../services/pool-manager/pool/waiting.ts";

const entry = parseProjectFile("demo.yaml", "name: demo\n");
const POOL: PoolView = {
  up: true,
  replicas: 2,
  idleWorkers: 0,
  pausedWorkers: 0,
  queueDepth: 3,
  longestWaitMs: 0,
  running: 2,
  paused: 0,
  posture: { layers: [], facts: [], packages: [] },
  detail: "",
};

it.each([
  [
    {},
    3,
    WaitingKind.QUEUE,
    'All 2 workers of project "demo" are busy; this execution is number 3 in the queue.',
  ],
  [
    { running: 1, detail: "installing packages" },
    1,
    WaitingKind.QUEUE,
    'The one worker of project "demo" is busy; this execution is number 1 in the queue. More workers: installing packages.',
  ],
  [{ running: 1 }, 0, WaitingKind.QUEUE, "A worker is ready; the script is about to start."],
  [
    { running: 0, detail: "installing packages" },
    2,
    WaitingKind.WORKER,
    'No worker of project "demo" is ready yet: installing packages.',
  ],
  [
    { running: 0, detail: "A worker ended soon after its start; another is started in a while." },
    1,
    WaitingKind.WORKER,
    'No worker of project "demo" is ready yet: A worker ended soon after its start; another is started in a while.',
  ],
])(
  "an execution that waits for a pool of %j at position %d learns what it waits for",
  (pool, position, kind, detail) => {
    expect(describeWaiting({ entry, pool: { ...POOL, ...pool } }, position)).toEqual({
      kind,
      queuePosition: position,
      detail,
    });
  },
);

it("an execution that waits learns that there is no pool yet, or that the project file has broken", () => {
  expect(describeWaiting({ entry, pool: undefined }, 0).detail).toBe(
    'No worker of project "demo" is ready yet: starting workers.',
  );
  const broken = parseProjectFile("demo.yaml", "name: other\n");
  expect(describeWaiting({ entry: broken, pool: POOL }, 1)).toMatchObject({
    kind: WaitingKind.WORKER,
    detail: expect.stringContaining("the operator must correct"),
  });
});

it("an execution that waits learns why the project cannot be given its secrets, although a worker is there", () => {
  const why =
    'Project "demo" cannot be given its secrets. Secret K (a ${vault:} reference) cannot be used: the vault cannot be reached.';
  expect(describeWaiting({ entry, pool: { ...POOL, running: 0, idleWorkers: 1 } }, 0, why)).toEqual({
    kind: WaitingKind.SERVICE,
    queuePosition: 0,
    detail: `A worker is ready, but the script does not start yet: ${why}`,
  });
});
