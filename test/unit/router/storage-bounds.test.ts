import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  bytesOf,
  excessOf,
  largestOf,
  mayStart,
  neverFits,
  storageFull,
  type Usage,
} from "../../../services/router/storage/storage-bounds.ts";

const MIB = 1024 * 1024;
const usageOf = (bytes: Readonly<Record<string, number>>) => new Map(Object.entries(bytes));

describe("the bytes to remove before a project may store more", () => {
  const limits = { project: 100, total: 1_000 };

  it("a project removes nothing up to its storage limit, and beyond it as much as leaves a twentieth free", () => {
    expect(excessOf(usageOf({ demo: 90 }), "demo", 10, limits)).toBeUndefined();
    expect(excessOf(usageOf({ demo: 90 }), "demo", 11, limits)).toEqual({
      bound: "project",
      bytes: 6,
      leastBytes: 1,
    });
    expect(excessOf(usageOf({}), "demo", 100, limits)).toBeUndefined();
    const unknown = { ...limits, project: undefined };
    expect(excessOf(usageOf({ demo: 500 }), "demo", 500, unknown)).toBeUndefined();
  });

  it("a project that is alone removes stored executions by the total limit", () => {
    const alone = { project: undefined, total: 1_000 };
    expect(excessOf(usageOf({ demo: 990 }), "demo", 10, alone)).toBeUndefined();
    expect(excessOf(usageOf({ demo: 990 }), "demo", 11, alone)).toEqual({
      bound: "total",
      bytes: 101,
      leastBytes: 51,
    });
  });

  it("the last twentieth of the total storage is left to projects that store less than their share", () => {
    const usage = usageOf({ flood: 930, quiet: 20 });
    const large = { project: 10_000, total: 1_000 };
    expect(excessOf(usage, "flood", 1, large)).toMatchObject({ bound: "total" });
    expect(excessOf(usage, "quiet", 50, large)).toBeUndefined();
    expect(excessOf(usage, "new", 50, large)).toBeUndefined();
    expect(excessOf(usage, "new", 51, large)).toMatchObject({ bound: "total" });
  });

  it("the total storage limit holds for all projects together, in whatever order they submit", () => {
    const submission = fc.record({ project: fc.constantFrom("a", "b", "c", "d"), bytes: fc.nat(300) });
    fc.assert(
      fc.property(fc.array(submission, { maxLength: 40 }), (submissions) => {
        const usage = new Map<string, number>();
        for (const { project, bytes } of submissions) {
          if (excessOf(usage, project, bytes, { project: 600, total: 1_000 })) continue;
          usage.set(project, (usage.get(project) ?? 0) + bytes);
          expect(usage.get(project)).toBeLessThanOrEqual(600);
          expect(bytesOf(usage)).toBeLessThanOrEqual(1_000);
        }
      }),
    );
  });
});

describe("while all projects together store too much", () => {
  it("while all projects together store too much, the largest gives way, and the next one when it has nothing left", () => {
    const usage = usageOf({ a: 5, b: 9, c: 7 });
    expect(largestOf(usage, new Set())).toBe("b");
    expect(largestOf(usage, new Set(["b"]))).toBe("c");
    expect(largestOf(usage, new Set(["a", "b", "c"]))).toBeUndefined();
  });
});

describe("the refusal of full storage", () => {
  const usage = usageOf({ demo: 95.5 * MIB, other: 10 * MIB });
  const limits = { project: 100 * MIB, total: 110 * MIB };

  it("the refusal of full storage names the limit that was met, what is stored, and what to do", () => {
    const own = storageFull({ bound: "project", bytes: 1, leastBytes: 1 }, "demo", 8 * MIB, usage, limits);
    expect(own).toMatchObject({
      code: "storage_full",
      message:
        'Project "demo" stores 95.5 MB and its limit is 100 MB (limits: stored_mb), so there is no room for the 8 MB of this request: executions that have not ended take all of it. Wait for some to end or cancel them, then submit again.',
    });
    const all = storageFull({ bound: "total", bytes: 1, leastBytes: 1 }, "demo", 8 * MIB, usage, limits);
    expect(all.message).toMatch(
      /^All projects together store 105\.5 MB and their limit is 110 MB \(AIRLOCK_DISK_MB\); 95\.5 MB are of project "demo"/,
    );
  });

  it("the refusal of full storage names the disk where it is full, its free space and the space that is kept free", () => {
    const disk = { freeBytes: 99 * MIB, keptFreeBytes: 256 * MIB };
    const full = (stored: Usage) =>
      storageFull({ bound: "total", bytes: 1, leastBytes: 1 }, "demo", MIB, stored, { ...limits, disk });
    const numbers =
      "The disk of Airlock's database has 99 MB free and Airlock leaves 256 MB of it free, so there is no room for the 1 MB of this request.";
    expect(full(usageOf({})).message).toBe(
      `${numbers} No stored execution would free that room by ending: the operator has to make room on that disk.`,
    );
    expect(full(usage).message).toBe(
      `${numbers} The executions that have not ended store 105.5 MB: wait for some to end or cancel them, or let the operator make room on that disk; then submit again.`,
    );
  });

  it("the refusal of full storage says that a request never fits, where it does not", () => {
    expect(neverFits(20 * MIB, 17 * MIB)).toMatchObject({
      code: "payload_too_large",
      message: expect.stringMatching(/take 20 MB, and no more than 17 MB may be stored\. Send less/),
    });
  });
});

describe("a pending execution", () => {
  const none = usageOf({});
  const disk = { project: 1_000 * MIB, total: 444 * MIB, disk: { freeBytes: 0, keptFreeBytes: 0 } };

  it("a pending execution starts unless its project has more under way than it may store", () => {
    const limits = { project: 100, total: 1_000 };
    const starts = (own: number) =>
      mayStart("demo", { started: usageOf({ demo: own }), stored: none, limits });
    expect(starts(100)).toBe(true);
    expect(starts(101)).toBe(false);
    expect(mayStart("other", { started: usageOf({ demo: 101 }), stored: none, limits })).toBe(true);
  });

  it("a pending execution waits while all projects have too much under way and its own project has its share of that", () => {
    const started = usageOf({ flood: 900, quiet: 200 });
    const limits = { project: undefined, total: 1_000 };
    expect(mayStart("flood", { started, stored: none, limits })).toBe(false);
    expect(mayStart("quiet", { started, stored: none, limits })).toBe(true);
    expect(mayStart("new", { started, stored: none, limits })).toBe(true);
  });

  it("a pending execution waits on a nearly full disk, sooner in a project that has its share of what is under way", () => {
    const started = usageOf({ flood: 300 * MIB, quiet: MIB });
    const at = (project: string, mb: number) =>
      mayStart(project, { started, stored: usageOf({ flood: mb * MIB }), limits: disk });
    expect([at("flood", 315), at("flood", 317)]).toEqual([true, false]);
    expect([at("quiet", 411), at("quiet", 413)]).toEqual([true, false]);
  });

  it("a pending execution starts when nothing is under way, even if the disk has a little less than is kept free", () => {
    const at = (mb: number) =>
      mayStart("demo", { started: none, stored: usageOf({ demo: mb * MIB }), limits: disk });
    expect([at(470), at(480)]).toEqual([true, false]);
  });
});
