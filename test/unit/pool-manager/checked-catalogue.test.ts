import { pino } from "pino";
import { beforeEach, describe, expect, it } from "vitest";
import { isUsable, type ProjectCatalogue } from "#common/projects/catalogue.ts";
import type { Project } from "#common/projects/file.ts";
import { createCheckedCatalogue } from "../../../services/pool-manager/checked-catalogue.ts";
import { createFakeClock, type FakeClock, settle } from "../../support/fake-clock.ts";

const WELL = { name: "well" } as Project;
const BROKEN = { name: "broken", problem: "broken.yaml:1: no" };

let clock: FakeClock;
let entries: (Project | typeof BROKEN)[];
let changed: boolean;
let ask: () => Promise<ReadonlyMap<string, string>>;
let refusalOf: (project: Project) => string | undefined;
let logged: string[];
let catalogue: ProjectCatalogue;

beforeEach(() => {
  clock = createFakeClock();
  entries = [WELL];
  changed = false;
  ask = async () => new Map();
  refusalOf = () => undefined;
  logged = [];
  open();
});

function open(): void {
  const files: ProjectCatalogue = {
    list: () => entries,
    get: (name) => entries.find((entry) => entry.name === name),
    refresh: async () => changed,
    unreadable: () => undefined,
  };
  const log = pino({ base: {}, timestamp: false }, { write: (line) => void logged.push(line) });
  catalogue = createCheckedCatalogue(
    files,
    (project) => refusalOf(project),
    [async () => new Map(), () => ask()],
    clock,
    log,
  );
}

const problemOf = (name: string) => {
  const entry = catalogue.get(name);
  return entry && !isUsable(entry) ? entry.problem : undefined;
};

/** Refreshes, and lets a check that began go on to its end. */
async function refresh(): Promise<void> {
  await catalogue.refresh();
  await settle();
}

describe("projects with their problems", () => {
  it("a project is broken by its file, by settings that the deployment cannot run, and by its secrets", async () => {
    entries = [WELL, BROKEN, { name: "demanding" } as Project, { name: "secretive" } as Project];
    refusalOf = ({ name }) => (name === "demanding" ? "needs containers" : undefined);
    ask = async () => new Map([["secretive", "Secret KEY cannot be used."]]);
    open();
    expect(logged).toHaveLength(2);
    await refresh();
    expect(["well", "broken", "demanding", "secretive"].map(problemOf)).toEqual([
      undefined,
      BROKEN.problem,
      "needs containers",
      "Secret KEY cannot be used.",
    ]);
    expect(catalogue.list().filter(isUsable)).toEqual([WELL]);
    expect(logged).toHaveLength(3);
  });

  it("a broken project is logged when it breaks and when it is in order again, once each", async () => {
    ask = async () => new Map([["well", "no KEY"]]);
    await refresh();
    await refresh();
    expect(logged.map((line) => JSON.parse(line))).toEqual([
      { level: 40, project: "well", detail: "no KEY", msg: "the project cannot be used; the others work" },
    ]);
    ask = async () => new Map();
    await refresh();
    await refresh();
    expect(logged.slice(1).map((line) => JSON.parse(line))).toEqual([
      { level: 30, project: "well", msg: "the project is in order again" },
    ]);
  });

  it("a project stays as the secrets service last said while that service is away", async () => {
    ask = async () => new Map([["well", "no KEY"]]);
    await refresh();
    ask = () => Promise.reject(new Error("away"));
    await refresh();
    expect(problemOf("well")).toBe("no KEY");
  });

  it("a project whose file was mended is usable again, although its secrets cannot be checked anew", async () => {
    entries = [WELL, { name: "other" } as Project];
    ask = async () =>
      new Map([
        ["well", "no KEY"],
        ["other", "no KEY"],
      ]);
    await refresh();
    expect([problemOf("well"), problemOf("other")]).toEqual(["no KEY", "no KEY"]);
    ask = () => Promise.reject(new Error("away"));
    entries = [{ ...WELL }, ...entries.slice(1)];
    changed = true;
    await refresh();
    expect([problemOf("well"), problemOf("other")]).toEqual([undefined, "no KEY"]);
  });

  it("problems of projects are answered at once while the secrets service hangs, and after a second when secrets matter", async () => {
    const standing = Promise.withResolvers<ReadonlyMap<string, string>>();
    let asked = 0;
    ask = () => {
      asked++;
      return standing.promise;
    };
    await catalogue.refresh();
    expect(problemOf("well")).toBeUndefined();
    changed = true;
    let isOver = false;
    const refreshed = catalogue.refresh().then(() => {
      isOver = true;
    });
    await settle();
    expect(isOver).toBe(false);
    await clock.advance(1_000);
    await settle();
    await clock.advance(1_000);
    await refreshed;
    expect(asked).toBe(1);
    standing.resolve(new Map([["well", "no KEY"]]));
    await settle();
    expect(problemOf("well")).toBe("no KEY");
  });
});
