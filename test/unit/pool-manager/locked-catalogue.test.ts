import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openProjectCatalogue, type ProjectCatalogue } from "#common/projects/catalogue.ts";
import type { Project } from "#common/projects/file.ts";
import { systemClock } from "#common/resilience/clock.ts";
import {
  type LockedProject,
  openLockedCatalogue,
} from "../../../services/pool-manager/packages/locked-catalogue.ts";
import { lockHeader } from "../../../services/pool-manager/packages/requirements.ts";

const HEADER = lockHeader(["six"]);
const OLD = `${HEADER}\nsix==1.15.0 --hash=sha256:aa\n`;
const NEW = `${HEADER}\nsix==1.17.0 --hash=sha256:bb\n`;

// The catalogue's time in milliseconds, so that a test sees a file as just written, or as written long ago.
let atMs: number;
const clock = { ...systemClock, now: () => atMs, monotonicMs: () => atMs };
const later = () => {
  atMs = Date.now() + 60_000;
};
const earlier = () => {
  atMs = Date.now() - 60_000;
};

let directory: string;
let logged: string[];
let catalogue: ProjectCatalogue;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-locks-"));
  logged = [];
  await writeFile(join(directory, "demo.yaml"), "name: demo\npackages: [six]\n");
  later();
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const log = pino({ base: {}, timestamp: false }, { write: (line) => void logged.push(line) });
const open = async () => {
  catalogue = await openLockedCatalogue(await openProjectCatalogue(directory, clock), directory, clock, log);
};
const lockPath = () => join(directory, "demo.lock");
const write = (text: string) => writeFile(lockPath(), text);
const demo = () => catalogue.get("demo") as LockedProject;

describe("projects with their lock files", () => {
  it("a project has its lock, and another revision of its pool with each other lock", async () => {
    await open();
    const unlocked = demo();
    expect(unlocked.lock).toBeUndefined();
    await write(OLD);
    later();
    expect(await catalogue.refresh()).toBe(true);
    const old = demo();
    expect(old.lock).toBe(OLD);
    await write(NEW);
    later();
    expect(await catalogue.refresh()).toBe(true);
    expect(new Set([unlocked, old, demo()].map(({ poolRevision }) => poolRevision)).size).toBe(3);
    expect(await catalogue.refresh()).toBe(false);
    expect(demo()).toBe(demo());
    await write(OLD);
    later();
    await catalogue.refresh();
    expect(demo().poolRevision).toBe(old.poolRevision);
  });

  it("a lock file that is being written is not read, and the earlier one stays in use", async () => {
    await write(OLD);
    await open();
    const before = demo();
    earlier();
    for (const text of ["", HEADER.slice(0, 10), NEW.slice(0, -20), NEW]) {
      await write(text);
      expect(await catalogue.refresh()).toBe(false);
      expect(demo()).toBe(before);
    }
    later();
    expect(await catalogue.refresh()).toBe(true);
    expect(demo().lock).toBe(NEW);
  });

  it("a lock file that is missing for a moment stays in use, and one that is gone changes the revision and is logged", async () => {
    await write(OLD);
    await open();
    const before = demo();
    earlier();
    await rename(lockPath(), `${lockPath()}.aside`);
    expect(await catalogue.refresh()).toBe(false);
    expect(demo()).toBe(before);
    expect(logged).toEqual([]);
    later();
    expect(await catalogue.refresh()).toBe(true);
    expect(demo().lock).toBeUndefined();
    expect(demo().poolRevision).not.toBe(before.poolRevision);
    expect(logged.join()).toContain("the lock file is gone");
  });

  it("a new project is offered only when its lock file is complete, and an unlocked one goes on until then", async () => {
    await open();
    const unlocked = demo();
    await writeFile(join(directory, "new.yaml"), "name: new\npackages: [six]\n");
    later();
    await writeFile(join(directory, "new.lock"), OLD);
    await write(OLD);
    // The project files were written long ago, the locks just now.
    const files = await openProjectCatalogue(directory, clock);
    earlier();
    const slow = openLockedCatalogue(files, directory, clock, log);
    await catalogue.refresh();
    expect(demo()).toBe(unlocked);
    later();
    expect((await slow).get("new")).toMatchObject({ lock: OLD });
    await catalogue.refresh();
    expect(demo().lock).toBe(OLD);
  });

  it("a lock that was made for other packages, or cannot be read, is a problem of its project alone", async () => {
    await writeFile(join(directory, "other.yaml"), "name: other\n");
    await write(lockHeader(["requests"]));
    await open();
    expect(demo()).toEqual({
      name: "demo",
      problem: expect.stringContaining("demo.lock was made for other packages than demo.yaml names"),
    });
    expect(catalogue.get("other") as Project).not.toHaveProperty("problem");
  });
});
