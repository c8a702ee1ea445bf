import { projectHeld, projectNotFound } from "#common/execution-refusals.ts";
import { type Project, ProjectStatus } from "#proto/pool_manager.ts";

export const MOCK_PROJECT = "mock-project";
const MIB = 1024 * 1024;

/** The only project of the mock gateway. It starts with one worker. */
export type MockProject = {
  view(): Project;
  /** Throws project_not_found unless `name` is the mock's project. */
  check(name: string): void;
  isUp(): boolean;
  isHeld(): boolean;
  /** Throws project_held while the project is held. */
  checkHold(): void;
  hold(isHeld: boolean): void;
  up(replicas: number): Project;
  down(): Project;
};

export function createMockProject(paused: () => number): MockProject {
  let replicas = 1;
  let held = false;
  const view = (): Project => ({
    name: MOCK_PROJECT,
    description: "A mock project for testing",
    status: replicas > 0 ? ProjectStatus.UP : ProjectStatus.DOWN,
    replicas,
    idleWorkers: replicas,
    packages: ["requests", "pandas"],
    programs: ["sh", "coreutils"],
    limits: {
      timeoutMs: 300_000,
      llmTimeoutMs: 900_000,
      maxOutputBytes: 10 * MIB,
      maxResultBytes: 10 * MIB,
      memoryBytes: 512 * MIB,
      queue: 1_000,
      networkBytes: 100 * MIB,
      storedBytes: 1_000 * MIB,
      diskBytes: 256 * MIB,
      pids: 64,
      cpus: 1,
    },
    queueDepth: 0,
    running: 0,
    paused: paused(),
    isolation: "standard",
    isolationLayers: [],
    isolationFacts: [],
    installedPackages: [
      { name: "pandas", version: "3.1.1" },
      { name: "requests", version: "2.32.5" },
    ],
    network: { allowlist: [], allowPrivate: [], injectedSecrets: [] },
    detail: "",
    problem: "",
    settingKeys: [],
    secretNames: [],
  });
  return {
    view,
    isUp: () => replicas > 0,
    isHeld: () => held,
    check(name) {
      if (name === MOCK_PROJECT) return;
      throw projectNotFound([MOCK_PROJECT]);
    },
    checkHold() {
      if (held) throw projectHeld(MOCK_PROJECT);
    },
    up(count) {
      replicas = count;
      return view();
    },
    hold(isHeld) {
      held = isHeld;
    },
    down() {
      replicas = 0;
      return view();
    },
  };
}
