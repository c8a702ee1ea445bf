import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";

// A file for each package: what its project installs, and a few lines of its README with the result that they have.
const DIRECTORY = join(import.meta.dirname, "popular-packages");
// AIRLOCK_PACKAGES=all takes a quarter of an hour and more, most of it to install; it may also be a list of names.
const FEW = "numpy,pandas,pandas-with-pyarrow,joblib,duckdb,slack-sdk,requests,sqlalchemy,aiosqlite";
const WANTED = process.env.AIRLOCK_PACKAGES || FEW;
// To install packages on a busy machine.
const INSTALL_MS = 600_000;

type Example = {
  readonly name: string;
  readonly packages: readonly string[];
  readonly code: string;
  readonly result: string;
};

async function readExample(name: string): Promise<Example> {
  const code = await readFile(join(DIRECTORY, `${name}.py`), "utf8");
  const packages = /^# packages: (.+)$/m.exec(code)?.[1]?.split(", ") ?? [];
  const result = /^# result: (.+)$/m.exec(code)?.[1] ?? "missing";
  return { name, packages, code, result };
}

const all = (await readdir(DIRECTORY)).map((file) => basename(file, ".py")).sort();
const names = WANTED === "all" ? all : WANTED.split(",");
const examples = await Promise.all(names.map(readExample));

describe("a project with one of the most downloaded packages starts without preload and runs lines of its README", () => {
  let airlock: TestAirlock;
  let rest: RestClient;

  beforeAll(async () => {
    const projects = examples.map(({ name, packages }) => [
      name,
      `packages: ${JSON.stringify(packages)}\nlimits: {memory_mb: 1024, timeout: 300}\n`,
    ]);
    airlock = await startAirlock({ projects: Object.fromEntries(projects) });
    rest = restClient(airlock.url);
  });
  afterAll(() => airlock.remove());

  it.each(examples)(
    "a project with the popular package $name starts without preload and runs lines of its README",
    { timeout: INSTALL_MS },
    async ({ name, code, result }) => {
      const id = await rest.submit({ project: name, code, timeout: 300 });
      const execution = await rest.settled(id);
      expect(execution).toMatchObject({ status: "completed", error: null });
      const text = await rest.settledText(id);
      expect(text).toContain(`"result":${result},"stdout"`);
      await rest.post(`/projects/${name}/down`, {});
    },
  );
});
