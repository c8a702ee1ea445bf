import { describe, expect, it } from "vitest";
import { type Project, parseProjectFile } from "#common/projects/file.ts";
import { replicaBound, tooManyInFile } from "../../../services/pool-manager/pool/replica-bound.ts";

const MIB = 1024 * 1024;
const project = (lines: string) => parseProjectFile("demo.yaml", `name: demo\n${lines}`) as Project;
const machine = (mb: number, maxWorkers = 32) => ({ maxWorkers, memoryBytes: mb * MIB });

describe("how many workers a project may be given", () => {
  it("a project may be given as many workers as the machine's memory allows, where that is less than the deployment's limit", () => {
    expect(replicaBound(project(""), machine(6_400))).toEqual({
      max: 10,
      reason:
        "the machine has 6400 MB of memory, and one of the project's workers may use 640 MB (limits: memory_mb, and 128 MB for itself). The operator can set more in the project file (replicas).",
    });
    expect(replicaBound(project("limits: {memory_mb: 3072}"), machine(6_400)).max).toBe(2);
    expect(replicaBound(project("limits: {memory_mb: 3072}"), machine(500)).max).toBe(1);
  });

  it("a project may be given as many workers as the deployment allows, where memory allows more or is unknown", () => {
    for (const memoryMb of [640 * 32, 100_000, Number.POSITIVE_INFINITY]) {
      expect(replicaBound(project(""), machine(memoryMb))).toEqual({
        max: 32,
        reason: "this deployment may have 32 workers of all projects together (AIRLOCK_MAX_WORKERS).",
      });
    }
  });

  it("a project may be given as many workers as its file says, within the deployment's limit", () => {
    const ranged = project("replicas: {min: 1, max: 20}");
    expect(replicaBound(ranged, machine(640))).toEqual({
      max: 20,
      reason: "its project file says replicas: {max: 20}.",
    });
    expect(replicaBound(ranged, machine(640, 8)).max).toBe(8);
    expect(replicaBound(project("replicas: 12"), machine(640)).max).toBe(12);
    expect(replicaBound(project("replicas: 12"), machine(640, 8)).max).toBe(8);
  });
});

describe("a project file", () => {
  it("a project file that asks for more workers than the deployment allows is reported", () => {
    expect(tooManyInFile(project("replicas: 40"), 32)).toMatch(
      /^the project file asks for 40 workers, and this deployment may have 32 /,
    );
    expect(tooManyInFile(project("replicas: {min: 1, max: 33}"), 32)).toContain("asks for 33 workers");
    expect(tooManyInFile(project("replicas: 32"), 32)).toBeUndefined();
  });
});
