import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { betweenFolders, circlesOf, type Import, importsOfPython, importsOfTypeScript } from "./imports.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");
const MAX_LINES = 400;
const MAX_FILES = 25;
// The one file in services/ that knows every service, the gateway too.
const COMPOSITION = "services/composition.ts";
// Folders of files of one form, which a test reads as a list.
const LISTS = ["test/e2e/scripts/popular-packages"];

const imports = importsOfTypeScript(ROOT, ["services", "gateway", "cli", "bench", "sdk", "proto/gen"]);
// Folders of generated code.
const GENERATED = ["proto/gen/", "sdk/typescript/gen/"];
const workerImports = importsOfPython(ROOT, "worker/airlock_worker");
const tracked = execFileSync("git", ["ls-files"], { cwd: ROOT, encoding: "utf8" }).trim().split("\n");

/** The service that a file belongs to; undefined for files that are no service's. */
const serviceOf = (path: string) => /^services\/([^/]+)\//.exec(path)?.[1] ?? /^(gateway)\//.exec(path)?.[1];
const shown = (edges: readonly Import[]) => edges.map(({ from, to }) => `${from} → ${to}`);
const offending = (isOffence: (edge: Import) => boolean) => shown(imports.filter(isOffence));

describe("imports", () => {
  it("no service imports another service", () => {
    const offences = offending(({ from, to }) => {
      const [own, other] = [serviceOf(from), serviceOf(to)];
      return own !== undefined && other !== undefined && other !== own && other !== "common";
    });
    expect(offences).toEqual([]);
  });

  it("services/common imports no service, and services import neither the command line, the benchmark nor the SDK", () => {
    expect(
      offending(
        ({ from, to }) => serviceOf(from) === "common" && ![undefined, "common"].includes(serviceOf(to)),
      ),
    ).toEqual([]);
    expect(
      offending(({ from, to }) => serviceOf(from) !== undefined && /^(cli|bench|test|sdk)\//.test(to)),
    ).toEqual([]);
  });

  it("the SDK imports nothing outside its own folder, because it is to be published alone", () => {
    const isSdk = (path: string) => path.startsWith("sdk/typescript/");
    expect(imports.filter(({ from }) => isSdk(from)).length).toBeGreaterThan(10);
    expect(offending(({ from, to }) => isSdk(from) && !isSdk(to))).toEqual([]);
    const { dependencies } = JSON.parse(readFileSync(join(ROOT, "sdk/typescript/package.json"), "utf8"));
    expect(dependencies).toBeUndefined();
  });

  it("the command line and the benchmark call the REST API by the SDK only", () => {
    // The document that the SDK's types are generated from, and the time until a new Airlock answers at all.
    const others = ["cli/generated/rest-types.ts", "bench/rows/start.ts"];
    const calling = tracked.filter(
      (path) =>
        /^(cli|bench)\/.*\.ts$/.test(path) &&
        /\bfetch\(|from "(node:https?|undici)"/.test(readFileSync(join(ROOT, path), "utf8")),
    );
    expect(calling).toEqual(others.toSorted());
  });

  it("the command line imports nothing of the benchmark or of tests", () => {
    expect(offending(({ from, to }) => from.startsWith("cli/") && /^(bench|test)\//.test(to))).toEqual([]);
  });

  // Port: what an adapter may import of its own service.
  it.each([
    ["services/router/store", ["services/router/execution.ts"]],
    ["services/pool-manager/drivers", ["services/pool-manager/packages/", "services/pool-manager/config.ts"]],
    ["services/secrets/sources", ["services/secrets/reference.ts"]],
    ["gateway/backends", ["gateway/execution-text/"]],
  ])("adapters in %s import of their service only their port", (folder, allowed) => {
    const isOwn = (path: string) => [`${folder}/`, ...allowed].some((prefix) => path.startsWith(prefix));
    const service = serviceOf(`${folder}/`);
    expect(
      offending(({ from, to }) => from.startsWith(`${folder}/`) && serviceOf(to) === service && !isOwn(to)),
    ).toEqual([]);
  });

  it("no files import each other in a circle", () => {
    expect(circlesOf(imports)).toEqual([]);
    expect(circlesOf(workerImports)).toEqual([]);
  });

  it("no folders import each other in a circle", () => {
    const others = imports.filter(({ from }) => from !== COMPOSITION);
    expect(circlesOf(betweenFolders(others))).toEqual([]);
    expect(circlesOf(betweenFolders(workerImports))).toEqual([]);
  });
});

describe("the worker", () => {
  const folderOf = (path: string) => path.split("/")[2] ?? "";
  const between = (from: readonly string[], to: readonly string[]) =>
    shown(
      workerImports.filter((each) => from.includes(folderOf(each.from)) && to.includes(folderOf(each.to))),
    );

  it("the worker's supervisor, which knows secrets, loads no module of the zygote or of a child", () => {
    expect(workerImports.length).toBeGreaterThan(200);
    expect(between(["supervisor"], ["zygote", "child"])).toEqual([]);
  });

  it("the worker's zygote and child load no module of the supervisor", () => {
    expect(
      between(["zygote", "child", "sandbox", "interpreter", "cgroups", "linux", "wire"], ["supervisor"]),
    ).toEqual([]);
  });
});

describe("the size of rooms", () => {
  it(`no file that people write has more than ${MAX_LINES} lines`, () => {
    const written = tracked.filter(
      (path) => /\.(ts|py)$/.test(path) && !GENERATED.some((folder) => path.startsWith(folder)),
    );
    const lines = (path: string) => readFileSync(join(ROOT, path), "utf8").split("\n").length - 1;
    expect(written.filter((path) => lines(path) > MAX_LINES)).toEqual([]);
  });

  it(`a folder with more than ${MAX_FILES} files has folders in it`, () => {
    const folders = new Map<string, number>();
    for (const path of tracked) folders.set(dirname(path), (folders.get(dirname(path)) ?? 0) + 1);
    const hasFolders = (folder: string) => tracked.some((path) => dirname(path).startsWith(`${folder}/`));
    const crowded = [...folders].filter(
      ([folder, files]) => files > MAX_FILES && !hasFolders(folder) && !LISTS.includes(folder),
    );
    expect(crowded.map(([folder]) => folder)).toEqual([]);
  });
});

describe("a test that may be skipped", () => {
  it("a test that may be skipped has the reason in its title, where the tally of ./airlock test finds it", () => {
    const offences = tracked
      .filter((path) => path.startsWith("test/") && path.endsWith(".test.ts"))
      .flatMap((path) => {
        const text = readFileSync(join(ROOT, path), "utf8");
        const skips = [...text.matchAll(/\b(?:describe|it)\.skipIf\(((?:[^()]|\(\))+)\)\(\s*(`[^\n]+)?/g)];
        return skips.filter(([, reason, title]) => !title?.includes(`(\${${reason}})`)).map(() => path);
      });
    // The fixtures of the tally's own test.
    expect(offences.filter((path) => path !== "test/unit/cli/test-tally.test.ts")).toEqual([]);
  });
});

describe("the check itself", () => {
  it("the check of imports finds circles of files and of folders, and none where there is none", () => {
    const edge = (from: string, to: string) => ({ from, to });
    const straight = [edge("a/x.ts", "b/y.ts"), edge("b/y.ts", "c/z.ts")];
    expect(circlesOf(straight)).toEqual([]);
    expect(circlesOf([...straight, edge("c/z.ts", "a/x.ts")])).toEqual([["a/x.ts", "b/y.ts", "c/z.ts"]]);
    const folders = betweenFolders([...straight, edge("b/w.ts", "a/v.ts"), edge("main.ts", "a/x.ts")]);
    expect(circlesOf(folders)).toEqual([["a", "b"]]);
  });
});
