import { glob, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { VARIABLES } from "#common/service/variables.ts";
import { ROOT, readPage, rowsOf } from "../../support/pages.ts";

// Where Airlock reads its environment: the product, its benchmark, Compose and CI.
const SOURCES = [
  "{services,gateway,cli,bench}/**/*.{ts,py}",
  "worker/airlock_worker/**/*.py",
  "airlock",
  "docker-compose.yml",
  "{.,worker}/Dockerfile",
  ".ci/run",
  ".ci/engine",
  ".ci/base-images",
];
// Variables that tests read; other names in tests are made up for projects and secrets.
const TEST_SOURCES = ["test/**/*.ts", "worker/tests/**/*.py"];
const STEERED = /(?:process\.env\.|environ\.get\(")(AIRLOCK_[A-Z_]+)/g;
const FIXTURES = /^AIRLOCK_TEST_/;

async function namesIn(patterns: readonly string[], pattern: RegExp): Promise<Set<string>> {
  const names = new Set<string>();
  for await (const path of glob(patterns, { cwd: ROOT, exclude: ["**/node_modules/**"] })) {
    const text = await readFile(join(ROOT, path), "utf8");
    for (const [whole, name] of text.matchAll(pattern)) names.add(name ?? whole);
  }
  return names;
}

const listed = rowsOf(await readPage("docs/configuration.md")).flatMap(
  ([name]) => /^`([A-Z_]+)`$/.exec(name ?? "")?.[1] ?? [],
);

describe("docs/configuration.md", () => {
  it("docs/configuration.md lists every variable once", () => {
    expect([...new Set(listed)]).toEqual(listed);
    expect(listed.length).toBeGreaterThan(50);
  });

  it("docs/configuration.md has every variable that services and commands read", () => {
    expect(Object.keys(VARIABLES).filter((name) => !listed.includes(name))).toEqual([]);
  });

  it("docs/configuration.md has every AIRLOCK_ name of the code, and the code has every name of the page", async () => {
    const product = await namesIn(SOURCES, /AIRLOCK_[A-Z]+(?:_[A-Z]+)*\b(?!_)/g);
    const tests = [...(await namesIn(TEST_SOURCES, STEERED))].filter((name) => !FIXTURES.test(name));
    const read = new Set([...product, ...tests]);
    expect([...read].filter((name) => !listed.includes(name)).sort()).toEqual([]);
    expect(listed.filter((name) => name.startsWith("AIRLOCK_") && !read.has(name))).toEqual([]);
  });
});
