import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { AirlockError, asAirlockError } from "#common/errors.ts";
import { openProjectCatalogue, type ProjectCatalogue } from "#common/projects/catalogue.ts";

const refusals = vi.hoisted(() => ({ readdir: "", stat: "", readFile: "" }));
vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof import("node:fs/promises")>();
  const refusing = <Call extends "readdir" | "stat" | "readFile">(call: Call) =>
    (async (...given: never[]) => {
      const code = refusals[call];
      if (code) throw Object.assign(new Error(`${code}: ${call}`), { code, errno: -24 });
      return (real[call] as (...given: never[]) => Promise<unknown>)(...given);
    }) as unknown as (typeof real)[Call];
  return { ...real, readdir: refusing("readdir"), stat: refusing("stat"), readFile: refusing("readFile") };
});

let directory: string;
let catalogue: ProjectCatalogue;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-catalogue-"));
  await writeFile(join(directory, "demo.yaml"), "name: demo\ndescription: first\n");
  catalogue = await openProjectCatalogue(directory);
});
afterEach(async () => {
  Object.assign(refusals, { readdir: "", stat: "", readFile: "" });
  await rm(directory, { recursive: true, force: true });
});

const demo = () => catalogue.get("demo");

describe("a projects directory", () => {
  it.each(["readdir", "stat", "readFile"] as const)(
    "a projects directory keeps its known projects while this process has no descriptors left for %s",
    async (call) => {
      const before = demo();
      expect(before).not.toHaveProperty("problem");
      await writeFile(join(directory, "demo.yaml"), "name: demo\ndescription: the second\n");
      refusals[call] = "EMFILE";
      expect(await catalogue.refresh()).toBe(false);
      expect(demo()).toBe(before);
      expect(catalogue.unreadable()).toBe("too many open files");
      refusals[call] = "";
      expect(await catalogue.refresh()).toBe(true);
      expect(catalogue.unreadable()).toBeUndefined();
      expect(demo()).toMatchObject({ description: "the second" });
    },
  );

  it.each([
    ["large.yaml", `name: large\n#${"x".repeat(64 * 1024)}`, "large.yaml: is larger than 64 KiB"],
    ["latin1.yaml", Buffer.from("name: latin1\ndescription: caf\xe9\n", "latin1"), "is not encoded as UTF-8"],
    ["upper.YAML", "name: upper\n", "upper.YAML: must end in .yaml or .yml, in lower case"],
  ])("a projects directory says why it does not read %s", async (fileName, content, told) => {
    await writeFile(join(directory, fileName), content);
    await catalogue.refresh();
    const entry = catalogue.get(fileName.split(".")[0] ?? "");
    expect(entry).toMatchObject({ problem: expect.stringContaining(told) });
    expect(demo()).not.toHaveProperty("problem");
  });

  it("a projects directory has no project that has two files, until one of them is gone", async () => {
    await writeFile(join(directory, "demo.yml"), "name: demo\ndescription: second\n");
    await catalogue.refresh();
    expect(catalogue.list()).toEqual([
      { name: "demo", problem: "the project has several files: demo.yaml and demo.yml. Keep one of them." },
    ]);
    await rm(join(directory, "demo.yml"));
    await catalogue.refresh();
    expect(demo()).toMatchObject({ description: "first" });
  });

  it("a projects directory keeps its known projects while the directory is away", async () => {
    const before = demo();
    await rename(directory, `${directory}-away`);
    expect(await catalogue.refresh()).toBe(false);
    expect(demo()).toBe(before);
    expect(catalogue.unreadable()).toBe("no such file or directory");
    await rename(`${directory}-away`, directory);
    expect(await catalogue.refresh()).toBe(false);
    expect(catalogue.unreadable()).toBeUndefined();
  });
});

describe("a shortage of the machine", () => {
  it.each(["EMFILE", "ENFILE", "ENOMEM", "EAGAIN"])(
    "a shortage of the machine is reported as unavailable: %s",
    (code) => {
      const error = asAirlockError(Object.assign(new Error("open '/secret/path'"), { code }));
      expect(error).toBeInstanceOf(AirlockError);
      expect(error.code).toBe("unavailable");
      expect(error.message).not.toContain("/secret");
    },
  );

  it("a permanent refusal by the system is no shortage of the machine", () => {
    expect(asAirlockError(Object.assign(new Error("no"), { code: "EACCES" })).code).toBe("internal");
  });
});
