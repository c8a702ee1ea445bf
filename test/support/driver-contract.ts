import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AirlockError } from "#common/errors.ts";
import type { TlsIdentity } from "#common/identity/tls-identity.ts";
import { isUsable } from "#common/projects/catalogue.ts";
import { type Project, parseProjectFile } from "#common/projects/file.ts";
import type { WorkerDriver, WorkerProcess } from "../../services/pool-manager/drivers/driver.ts";
import type { Provision } from "../../services/pool-manager/worker/provisioning.ts";
import { startWorker, takeOverWorker, type Worker } from "../../services/pool-manager/worker/worker.ts";

/** A worker driver under test, and what the tests need around it. */
export type DriverHarness = {
  /** Opens another driver of the same deployment, as after a restart. */
  open(): Promise<WorkerDriver>;
  /** The certificates for calls to workers; undefined where workers use Unix sockets. */
  readonly tls?: TlsIdentity;
  /** Ends the worker from outside the driver. */
  harm(process: WorkerProcess, workerId: string): Promise<unknown>;
  /** Whether workers outlive the pool-manager that started them. */
  readonly outlive: boolean;
  close(): Promise<void>;
};

const log = pino({ level: "silent" });
const TIMEOUT = { timeout: 180_000 };

export function projectOf(text: string): Project {
  const project = parseProjectFile("contract.yaml", `name: contract\n${text}`);
  if (!isUsable(project)) throw new Error(project.problem);
  return project;
}

/** Defines the tests of everything that the pool-manager expects of a worker driver. */
export function describeDriverContract(start: () => Promise<DriverHarness>): void {
  const project = projectOf("");
  const signal = new AbortController().signal;
  let harness: DriverHarness;
  let driver: WorkerDriver;
  beforeAll(async () => {
    harness = await start();
    driver = await harness.open();
  }, 180_000);
  afterAll(async () => {
    await driver?.close();
    await harness?.close();
  });

  const partsOf = (workerId: string) => ({
    ...{ project, workerId, log, tls: harness.tls },
    provide: async () => provision(project),
  });
  const ready = async (id: string, launch = () => driver.start(project, id)): Promise<Worker> =>
    await startWorker(launch, partsOf(id), signal);

  it("a worker driver refuses to start a project that was not prepared", async () => {
    await expect(driver.start(project, "early")).rejects.toThrow("was not prepared");
  });

  it(
    "a worker driver reports its steps while it prepares, and prepares at once the second time",
    TIMEOUT,
    async () => {
      const steps: string[] = [];
      await driver.prepare(project, (step) => steps.push(step), signal);
      expect(steps.length).toBeGreaterThan(0);
      await driver.prepare(project, (step) => expect.fail(`it did "${step}" again`), signal);
    },
  );

  it("a worker driver starts a worker that gets ready, and stops it, also twice", TIMEOUT, async () => {
    const worker = await ready("first");
    expect(worker.posture.layers.length).toBeGreaterThan(0);
    await worker.stop();
    await worker.stop();
    expect(await worker.gone).toMatch(/\w/);
  });

  it("a worker driver starts several workers at once", TIMEOUT, async () => {
    const workers = await Promise.all(["a", "b", "c"].map((id) => ready(id)));
    expect(new Set(workers.map(({ address }) => address)).size).toBe(3);
    await Promise.all(workers.map((worker) => worker.stop()));
  });

  it("a worker driver reports when a worker is gone", TIMEOUT, async () => {
    const process = await driver.start(project, "harmed");
    await harness.harm(process, "harmed");
    expect(await process.gone).toMatch(/^(was|exited|ran)/);
    await process.stop();
  });

  it(
    "a worker driver reports the package's own error when packages cannot be installed",
    TIMEOUT,
    async () => {
      const impossible = projectOf("packages: [airlock-has-no-such-package]\n");
      await expect(driver.prepare(impossible, () => {}, signal)).rejects.toMatchObject({
        code: "start_failed",
        message: expect.stringContaining("airlock-has-no-such-package"),
      });
    },
  );

  describe("after a restart", () => {
    it(
      "a restarted worker driver finds running workers, and they get ready again, also while services are away",
      TIMEOUT,
      async () => {
        const before = await ready("kept");
        const next = await harness.open();
        const found = await next.findRunning((name) => (name === project.name ? project : undefined));
        expect(found.map(({ workerId }) => workerId)).toEqual(harness.outlive ? ["kept"] : []);
        for (const { workerId, process } of found) {
          const provide = () =>
            Promise.reject(new AirlockError("unavailable", "The secrets service is away."));
          const again = await takeOverWorker(process, { ...partsOf(workerId), provide }, signal);
          expect(again.address).toBe(before.address);
          await again.stop();
        }
        if (!harness.outlive) await before.stop();
        expect(await before.gone).toMatch(/\w/);
        await next.close();
      },
    );

    it.each([
      ["is made differently now", () => projectOf("preload: [json]\n")],
      ["cannot be used now", () => undefined],
    ])(
      "a restarted worker driver marks workers to go when they are done if their project %s",
      TIMEOUT,
      async (_, projectNamed) => {
        const before = await ready("outdated");
        const next = await harness.open();
        const found = await next.findRunning(projectNamed);
        const outdated = expect.stringMatching(/^its project /);
        const expected = { project: project.name, workerId: "outdated", outdated };
        expect(found).toEqual(harness.outlive ? [expect.objectContaining(expected)] : []);
        for (const { process } of found) await process.stop();
        if (!harness.outlive) await before.stop();
        expect(await before.gone).toMatch(/\w/);
        await next.close();
      },
    );
  });
}

export function provision({ name, limits }: Project): Provision {
  const request = { project: name, secretsVersion: "", settings: {}, network: false, limits };
  return { revision: "contract", request, secrets: [] };
}
