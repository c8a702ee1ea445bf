import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AirlockError } from "#common/errors.ts";
import { ProjectLimits, Project as ProjectMessage } from "#proto/pool_manager.ts";
import { failure } from "../../../services/router/execution.ts";
import { type Storage, startStorage } from "../../../services/router/storage/storage.ts";
import { openSqliteStore } from "../../../services/router/store/sqlite/store.ts";
import type { ExecutionStore } from "../../../services/router/store/store.ts";
import { createFakeClock, type FakeClock, settle } from "../../support/fake-clock.ts";
import { GRANT } from "../../support/grant.ts";

const MIB = 1024 * 1024;

let directory: string;
let store: ExecutionStore;
let storage: Storage;
let clock: FakeClock;
let capacity: number;
let limit: number;
let isAway: boolean;
let logged: string[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-storage-"));
  store = openSqliteStore(join(directory, "airlock.db"), "router");
  clock = createFakeClock();
  capacity = Number.POSITIVE_INFINITY;
  limit = 100 * MIB;
  isAway = false;
  logged = [];
  storage = startStorage({
    store: {
      ...store,
      async capacity() {
        if (isAway) throw new AirlockError("unavailable", "The database is away.");
        return { bytes: capacity, freeBytes: capacity + 256 * MIB, keptFreeBytes: 256 * MIB };
      },
    },
    projects: {
      get: async (name) =>
        ProjectMessage.create({ name, limits: ProjectLimits.create({ storedBytes: limit }) }),
    },
    totalBytes: 200 * MIB,
    registry: new Registry(),
    clock,
    log: pino({ level: "warn" }, { write: (line: string) => logged.push(line) }),
  });
});
afterEach(async () => {
  await storage.stop();
  await store.close();
  await rm(directory, { recursive: true });
});

const submission = (executionId: string, mb: number, project = "demo") => {
  const memoryJson = `"${"x".repeat(mb * MIB)}"`;
  return { executionId, project, code: "1", timeoutMs: 1, settings: {}, memoryJson, createdAtMs: 1 };
};

/** Ended executions of the database, of so many MB each. */
async function fill(count: number, mb: number, project = "demo"): Promise<void> {
  for (let n = 0; n < count; n++) {
    const id = `${project}-${n}`;
    await store.insert(submission(id, mb, project));
    await store.finish(id, failure("cancelled", "no"), { position: 0, stdout: "", stderr: "" }, n + 1);
  }
}

const reserve = async (mb: number) => {
  const reservation = await storage.reserve("demo", limit, mb * MIB);
  if (!reservation) throw new Error("the submission was not wanted");
  return reservation;
};

/** Lets the storage look, as it does every second. */
async function look(): Promise<void> {
  await clock.advance(1_000);
  for (let turn = 0; turn < 20; turn++) await settle();
}

describe("the storage of a project", () => {
  it("the storage of a project counts reserved bytes until they are given back or stored", async () => {
    const rooms = [await reserve(40), await reserve(40)];
    await expect(reserve(40)).rejects.toMatchObject({ code: "storage_full" });
    rooms[0]?.giveBack();
    const third = await reserve(40);
    third.used();
    await look();
    // The submission was not stored after all, so the database counts nothing.
    await reserve(40);
    await expect(reserve(40)).rejects.toMatchObject({ code: "storage_full" });
  });

  it("the storage of a project is freed by forgetting what ended first, and only as much as is needed", async () => {
    await fill(9, 10);
    (await reserve(30)).used();
    expect(await store.get("demo-2")).toBeUndefined();
    expect(await store.get("demo-3")).toBeDefined();
  });

  it("the storage of a project forgets nothing for a submission that is not wanted, such as a repeated one", async () => {
    await fill(9, 10);
    expect(await storage.reserve("demo", limit, 30 * MIB, async () => false)).toBeUndefined();
    expect(await store.get("demo-0")).toBeDefined();
    expect(await storage.reserve("demo", limit, 30 * MIB, async () => true)).toBeDefined();
    expect(await store.get("demo-0")).toBeUndefined();
  });

  it("the storage of a project refuses a request that is larger than all of it, and forgets nothing for it", async () => {
    await fill(2, 10);
    await expect(reserve(101)).rejects.toMatchObject({ code: "payload_too_large" });
    expect(await store.get("demo-0")).toBeDefined();
  });

  it("the storage of a project follows its project file", async () => {
    await fill(9, 10);
    limit = 50 * MIB;
    await look();
    expect(await store.get("demo-4")).toBeUndefined();
    expect(await store.get("demo-5")).toBeDefined();
  });
});

describe("a disk that has less space than Airlock may use", () => {
  it("a disk that has less space than Airlock may use is the limit, and the operator is told once", async () => {
    await fill(3, 10);
    await fill(5, 10, "other");
    capacity = 60 * MIB;
    await look();
    // The one that stores most gave way.
    expect((await store.countStoredBytes()).every(({ bytes }) => bytes < 31 * MIB)).toBe(true);
    expect(await store.get("demo-0")).toBeDefined();
    await look();
    expect(logged).toHaveLength(1);
    expect(logged[0]).toContain("the disk has less room than AIRLOCK_DISK_MB");
    expect(logged[0]).toContain('"freeMb":316,"keptFreeMb":256,"capacityMb":60,"totalMb":200');
    capacity = 0;
    await look();
    await expect(reserve(1)).rejects.toMatchObject({
      code: "storage_full",
      message: expect.stringMatching(
        /^The disk of Airlock's database has 256 MB free and Airlock leaves 256 MB of it free, .* No stored execution would free that room by ending/,
      ),
    });
    expect(await store.countStoredBytes()).toEqual([]);
  });

  it("a disk that lacks more space than all executions take makes nothing forgotten, and requests are refused", async () => {
    await fill(3, 10);
    await fill(1, 10, "other");
    await store.insert(submission("pending", 10));
    capacity = -100 * MIB;
    await look();
    await expect(reserve(1)).rejects.toMatchObject({
      code: "storage_full",
      message: expect.stringMatching(
        /^The disk of Airlock's database has 156 MB free .* Forgetting all that is stored would not make that room: the operator has to make room on that disk\.$/,
      ),
    });
    for (const id of ["demo-0", "demo-1", "demo-2", "other-0"]) expect(await store.get(id)).toBeDefined();
    expect(storage.mayStart("demo")).toBe(false);
    capacity = 100 * MIB;
    await look();
    await reserve(1);
    expect(storage.mayStart("demo")).toBe(true);
  });
});

describe("a project that has much under way", () => {
  /** Paused executions of so many MB each. */
  const pause = async (count: number, mb: number, project: string) => {
    for (let n = 0; n < count; n++) {
      const id = `${project}-paused-${n}`;
      await store.insert(submission(id, mb, project));
      await store.start(id, 1, GRANT);
      await store.markAwaiting(id, { id: "llm_1", prompt: "q", model: "" }, 1);
    }
  };

  it("a project that has much under way does not make another's results be forgotten where that would not help", async () => {
    await fill(2, 2, "quiet");
    await pause(9, 10, "flood");
    capacity = 60 * MIB;
    await look();
    await look();
    expect(await store.get("quiet-0")).toBeDefined();
    expect(await store.get("quiet-1")).toBeDefined();
    await expect(reserve(1)).rejects.toMatchObject({ code: "storage_full" });
    expect(await store.get("quiet-0")).toBeDefined();
  });

  it("a project that has much under way does not make projects that store less than their share forget results", async () => {
    limit = 200 * MIB;
    await fill(4, 10, "innocent");
    await pause(14, 10, "demo");
    await look();
    const outcomes = [];
    for (let n = 0; n < 6; n++)
      outcomes.push(
        await reserve(6).then(
          () => "let in",
          ({ code }) => code as string,
        ),
      );
    expect(outcomes.at(-1)).toBe("storage_full");
    for (let n = 0; n < 4; n++) expect(await store.get(`innocent-${n}`)).toBeDefined();
    await storage.reserve("innocent", limit, 5 * MIB);
  });

  it("a project that has much under way starts nothing more until some of it has ended, and other projects start", async () => {
    limit = 50 * MIB;
    await pause(6, 10, "flood");
    await look();
    const signal = new AbortController().signal;
    await storage.awaitStart("quiet", signal);
    let hasStarted = false;
    const starts = storage.awaitStart("flood", signal).then(() => {
      hasStarted = true;
    });
    const given = new AbortController();
    const givenUp = storage.awaitStart("flood", given.signal);
    given.abort();
    await givenUp;
    await look();
    expect([hasStarted, storage.mayStart("flood")]).toEqual([false, false]);
    for (const n of [0, 1]) await store.forceFinish(`flood-paused-${n}`, failure("cancelled", "no"), n + 1);
    await look();
    await starts;
    expect(storage.mayStart("flood")).toBe(true);
  });
});

describe("while the database is away", () => {
  it("no submission is accepted while the database is away once the last count is old", async () => {
    await reserve(1);
    isAway = true;
    await clock.advance(6_000);
    await expect(reserve(1)).rejects.toMatchObject({ code: "unavailable" });
    isAway = false;
    await reserve(1);
  });
});
