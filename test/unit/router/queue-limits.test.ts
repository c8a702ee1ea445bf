import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hasShare, queueFull } from "../../../services/router/admission/queue-limits.ts";

const queues = (own: number, total: number, otherProjects: number) => ({
  ofProject: { pending: own, unfinished: own },
  inTotal: { pending: total, unfinished: total },
  otherProjects,
});

describe("the share of a project where all are full", () => {
  it("the share of a project where all queues are full is the limit divided by the projects with executions, its own included", () => {
    expect(hasShare(queues(0, 100, 1), 100)).toBe(true);
    expect(hasShare(queues(49, 149, 1), 100)).toBe(true);
    expect(hasShare(queues(50, 150, 1), 100)).toBe(false);
    expect(hasShare(queues(33, 133, 2), 100)).toBe(true);
    expect(hasShare(queues(34, 134, 2), 100)).toBe(false);
  });

  it("the share of a project where all queues are full is the whole limit for a project that is alone", () => {
    expect(hasShare(queues(99, 99, 0), 100)).toBe(true);
    expect(hasShare(queues(100, 100, 0), 100)).toBe(false);
  });

  it("the share of a project lets each newcomer in, and keeps all within the bound, in whatever order they flood", () => {
    const limit = 60;
    const flood = fc.record({ project: fc.nat(9), count: fc.integer({ min: 1, max: 70 }) });
    fc.assert(
      fc.property(fc.array(flood, { maxLength: 30 }), (floods) => {
        const has = new Map<number, number>();
        const total = () => [...has.values()].reduce((sum, count) => sum + count, 0);
        for (const { project, count } of floods) {
          for (let n = 0; n < count; n++) {
            const own = has.get(project) ?? 0;
            const others = [...has.keys()].filter((other) => other !== project).length;
            const enters = hasShare(queues(own, total(), others), limit);
            if (own === 0) expect(enters).toBe(true);
            if (enters) has.set(project, own + 1);
          }
        }
        // Each share is rounded up by less than one.
        const shares = [...has.keys()].reduce((sum, _, index) => sum + limit / (index + 1) + 1, 0);
        expect(total()).toBeLessThanOrEqual(shares);
      }),
    );
  });
});

describe("the refusal of a full queue", () => {
  it("the refusal of a full queue names the limit that was met, and how many executions wait already", () => {
    const own = queueFull("demo", queues(4, 9, 2), 4, 100);
    expect(own).toMatchObject({
      code: "queue_full",
      message: expect.stringContaining("its limit is 4. 4 of"),
    });
    const all = queueFull("demo", queues(4, 100, 0), 5, 100);
    expect(all.message).toMatch(
      /^All projects together already have 100 .+ limit is 100; 4 are of project "demo"/,
    );
  });
});
