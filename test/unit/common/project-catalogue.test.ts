import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { AirlockError, asAirlockError } from "#common/errors.ts";
import { openProjectCatalogue, type ProjectCatalogue } from "#common/projects/catalogue.ts";
import { systemClock } from "#common/resilience/clock.ts";

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

// The catalogue's time in milliseconds; undefined while it has the system's clock. A time of its own lets a
// test see a file as just written, or as written long ago, however slow the machine is.
let atMs: number | undefined;
const clock = {
  ...systemClock,
  now: () => atMs ?? systemClock.now(),
  monotonicMs: () => atMs ?? systemClock.monotonicMs(),
};
const later = () => {
  atMs = Date.now() + 60_000;
};
const earlier = () => {
  atMs = Date.now() - 60_000;
};
const QUIET_MS = 500;

let directory: string;
let catalogue: ProjectCatalogue;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-catalogue-"));
  await writeFile(join(directory, "demo.yaml"), "name: demo\ndescription: first\n");
  later();
  catalogue = await openProjectCatalogue(directory, clock);
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
      later();
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
    later();
    await catalogue.refresh();
    const entry = catalogue.get(fileName.split(".")[0] ?? "");
    expect(entry).toMatchObject({ problem: expect.stringContaining(told) });
    expect(demo()).not.toHaveProperty("problem");
  });

  it("a projects directory has no project that has two files, until one of them is gone", async () => {
    await writeFile(join(directory, "demo.yml"), "name: demo\ndescription: second\n");
    later();
    await catalogue.refresh();
    expect(catalogue.list()).toEqual([
      { name: "demo", problem: "the project has several files: demo.yaml and demo.yml. Keep one of them." },
    ]);
    await rm(join(directory, "demo.yml"));
    later();
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

describe("a project file that is being written", () => {
  const write = (text: string, name = "demo") => writeFile(join(directory, `${name}.yaml`), text);
  const refresh = (awaited?: string) => catalogue.refresh(awaited);
  const pass = (ms: number) => {
    atMs = (atMs as number) + ms;
  };
  const BROKERED =
    "name: demo\nisolation: strict\nsecrets:\n  TOKEN:\n    value: a-brokered-value\n    inject: {host: erp.example, header: X-Key}\n";

  it("a project file that is being written is not read until it has not changed for half a second", async () => {
    const before = demo();
    earlier();
    await write("name: demo\n");
    expect(await refresh()).toBe(false);
    pass(QUIET_MS - 1);
    await write("name: demo\ndescription: whole\n");
    expect(await refresh()).toBe(false);
    pass(QUIET_MS - 1);
    expect(await refresh()).toBe(false);
    expect(demo()).toBe(before);
    pass(1);
    expect(await refresh()).toBe(true);
    expect(demo()).toMatchObject({ description: "whole" });
  });

  it("a project file that is written in pieces is used as it was before and as it is after, and never as one of its beginnings", async () => {
    await write(BROKERED);
    await refresh();
    const before = demo();
    expect(before).toMatchObject({ isolation: "strict" });
    earlier();
    for (let end = 0; end < BROKERED.length; end += 7) {
      await write(BROKERED.slice(0, end));
      expect(await refresh()).toBe(false);
      expect(demo()).toBe(before);
    }
    await write(BROKERED.replace("erp.example", "crm.example"));
    later();
    await refresh();
    expect(demo()).toMatchObject({ secrets: [{ inject: { host: "crm.example" } }] });
  });

  it("a project file that is removed and written anew is used as it was all the time, and goes when it stays away", async () => {
    const before = demo();
    earlier();
    await rm(join(directory, "demo.yaml"));
    expect(await refresh()).toBe(false);
    await write("name: demo\ndescription: second\n");
    expect(await refresh()).toBe(false);
    await rm(join(directory, "demo.yaml"));
    expect(await refresh()).toBe(false);
    expect(demo()).toBe(before);
    later();
    expect(await refresh()).toBe(true);
    expect(demo()).toBeUndefined();
  });

  it("a project whose new file is being written is waited for by the call that needs it, and by no other", async () => {
    earlier();
    await write("name: new\n", "new");
    expect(await refresh()).toBe(false);
    expect(await refresh("demo")).toBe(false);
    expect(catalogue.get("new")).toBeUndefined();
    const waiting = refresh("new");
    pass(QUIET_MS);
    expect(await waiting).toBe(true);
    expect(catalogue.get("new")).toMatchObject({ name: "new" });
  });

  it("a project whose broken file is being corrected is waited for by the call that needs it", async () => {
    await write("name: demo\nno_such_field: 1\n");
    await refresh();
    expect(demo()).toHaveProperty("problem");
    earlier();
    await write("name: demo\ndescription: corrected\n");
    expect(await refresh()).toBe(false);
    const waiting = refresh("demo");
    pass(QUIET_MS);
    expect(await waiting).toBe(true);
    expect(demo()).toMatchObject({ description: "corrected" });
  });

  it("a project file that is written all the time is waited for no longer than 1.5 seconds", async () => {
    earlier();
    const startedMs = atMs as number;
    await write("name: busy\n", "busy");
    const waiting = refresh("busy").then(() => atMs as number);
    const isOver = waiting.then(() => true);
    for (let i = 0; !(await Promise.race([isOver, sleep(10, false)])); i++) {
      await write(`name: busy\ndescription: "${i}"\n`, "busy");
      pass(50);
    }
    const waitedMs = (await waiting) - startedMs;
    expect(waitedMs).toBeGreaterThanOrEqual(1_500);
    expect(waitedMs).toBeLessThan(3_000);
    expect(catalogue.get("busy")).toBeUndefined();
  });

  it("a catalogue that is opened while files are written waits for them", async () => {
    await write("name: later\n", "later");
    const opened = await openProjectCatalogue(directory);
    expect(opened.list()).toMatchObject([{ name: "demo" }, { name: "later" }]);
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
