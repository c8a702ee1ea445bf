import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runAirlock, startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { restClient } from "../../harness/rest.ts";

const SHORT = "xq7";

let airlock: TestAirlock;
let env: Record<string, string>;

const text = async (path: string) => await (await fetch(airlock.url + path)).text();
const write = (name: string, content: string) =>
  writeFile(join(airlock.projectsDirectory, `${name}.yaml`), `name: ${name}\n${content}`);
const submit = (project: string) =>
  fetch(`${airlock.url}/execute`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ project, code: "set_result(1)" }),
  });

/** Every kind of mistake that reading finds, with what is said of it. */
const MISTAKES: Readonly<Record<string, readonly [file: string, problem: string]>> = {
  requirement: [
    'packages: [pandas, "this is not pep508"]\n',
    'requirement.yaml:2: field "packages.1" must be a package',
  ],
  variable: [
    'secrets: {FROM_ENV: "${env:AIRLOCK_TEST_NOT_SET}"}\n',
    "FROM_ENV (a ${env:} reference) cannot be used: the environment variable AIRLOCK_TEST_NOT_SET is not set",
  ],
  file: [
    'secrets: {FROM_FILE: "${file:keys/nope}"}\n',
    'FROM_FILE (a ${file:} reference) cannot be used: the file "keys/nope" does not exist',
  ],
  "file-of-the-machine": [
    'secrets: {FROM_FILE: "${file:/run/no-such-place/nope}"}\n',
    'FROM_FILE (a ${file:} reference) cannot be used: the file "…/nope" does not exist',
  ],
  bracket: [
    "packages: [pandas\nreplicas: 1\n",
    "bracket.yaml:3: not valid YAML: the indentation does not fit the lines above, or a bracket or brace there is not closed",
  ],
  short: [`secrets: {TOO_SHORT: ${SHORT}}\n`, "its value is shorter than 6 bytes"],
  vault: ['secrets: {FROM_VAULT: "${vault:kv/a#b}"}\n', "no vault is configured"],
  lock: ["packages: [six]\n", "lock.lock was made for other packages than lock.yaml names"],
  tabs: [
    "limits:\n\ttimeout: 5\n",
    "tabs.yaml:3: not valid YAML: a tab stands in the indentation; use spaces",
  ],
};

beforeAll(async () => {
  const broken = Object.entries(MISTAKES).map(([name, [file]]) => [name, file] as const);
  airlock = await startAirlock({ projects: { demo: "", well: "", ...Object.fromEntries(broken) } });
  env = { AIRLOCK_URL: airlock.url };
  await writeFile(join(airlock.projectsDirectory, "lock.lock"), '# airlock packages: ["requests"]\n');
  // A file counts half a second after its last change.
  while (!(await text("/projects")).includes("made for other packages")) await sleep(50);
});
afterAll(async () => {
  await airlock.remove();
});

describe.each(Object.entries(MISTAKES))("a project with a mistake (%s)", (name, [, problem]) => {
  it("a broken project is named with its reason on the terminal, in GET /projects and by ./airlock projects", async () => {
    await expect.poll(airlock.output).toContain(problem);
    const { projects } = JSON.parse(await text("/projects")) as {
      projects: { name: string; problem: string | null }[];
    };
    expect(projects.find((each) => each.name === name)?.problem).toContain(problem);
    const { stdout } = await runAirlock(["projects"], { env });
    expect(stdout).toMatch(new RegExp(`^${name} +broken `, "m"));
    expect(stdout).toContain(problem);
  });

  it("a broken project shows no limits that look like its own", async () => {
    const project = JSON.parse(await text(`/projects/${name}`)) as { limits: unknown; isolation: unknown };
    expect(project).toMatchObject({ limits: null, isolation: null });
  });

  it("a broken project is in GET /ready and in a metric, and leaves Airlock ready", async () => {
    const ready = await fetch(`${airlock.url}/ready`);
    expect(ready.status).toBe(200);
    expect(((await ready.json()) as { broken_projects: string[] }).broken_projects).toContain(name);
    expect(await text("/metrics")).toContain(`airlock_pool_project_broken{project="${name}"} 1\n`);
  });

  it("a broken project accepts no execution and starts no workers, with the reason", async () => {
    const answer = await submit(name);
    const refusal = (await answer.json()) as { code: string; detail: string };
    expect([answer.status, refusal.code]).toEqual([409, "project_invalid"]);
    expect(refusal.detail).toContain(problem);
    const { status, stdout, stderr } = await runAirlock(["up", name], { env });
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toContain(problem);
  });

  it("a broken project is not offered to agents", async () => {
    expect(await text("/skill.md")).not.toContain(`**${name}**`);
    expect(await text("/skill.md")).toContain("**demo**");
    const { detail } = (await (await submit("nope")).json()) as { detail: string };
    expect(detail).toBe("There is no project of this name. Use one of: demo, well.");
  });
});

it("errors about broken projects show no value of a secret and no path of the server", async () => {
  const answers = await Promise.all(Object.keys(MISTAKES).map(async (name) => (await submit(name)).text()));
  const pages = await Promise.all(["/projects", "/ready", "/metrics", "/skill.md"].map(text));
  for (const page of [...answers, ...pages]) {
    expect(page).not.toContain(airlock.directory);
    expect(page).not.toContain(SHORT);
  }
  expect(airlock.output()).not.toContain(SHORT);
});

describe("while Airlock runs", { timeout: 60_000 }, () => {
  it("a project file that breaks while Airlock runs is reported on the terminal, and a mended one counts at once", async () => {
    await write("well", "limits: {timeouts: 5}\n");
    await expect.poll(airlock.output, { timeout: 20_000 }).toContain('well.yaml:2: field "limits.timeouts"');
    await write("well", "");
    expect((await runAirlock(["up", "well"], { env })).stdout).toBe("well is up, 1 replica\n");
  });

  it("a secret's file that appears or disappears while Airlock runs counts, too", async () => {
    await writeFile(join(airlock.projectsDirectory, "later"), "a-value-of-some-length");
    await write("later", 'secrets: {KEY: "${file:later}"}\n');
    expect((await submit("later")).status).toBe(202);
    await rm(join(airlock.projectsDirectory, "later"));
    await expect
      .poll(airlock.output, { timeout: 20_000 })
      .toContain("KEY (a ${file:} reference) cannot be used");
    await expect.poll(async () => (await submit("later")).status, { timeout: 20_000 }).toBe(409);
    await writeFile(join(airlock.projectsDirectory, "later"), "a-value-of-some-length");
    expect((await runAirlock(["up", "later"], { env })).status).toBe(0);
  });

  it("a projects directory that disappears while Airlock runs is reported once, and counts again when it is back", async () => {
    const aside = join(airlock.directory, "aside");
    await rename(airlock.projectsDirectory, aside);
    const said =
      "pool-manager: the projects directory cannot be read; its projects go on as they were: no such file or directory\n";
    await expect.poll(airlock.output, { timeout: 20_000 }).toContain(said);
    await sleep(4_500);
    expect(airlock.output().split(said)).toHaveLength(2);
    await rename(aside, airlock.projectsDirectory);
    await expect.poll(async () => (await submit("demo")).status, { timeout: 20_000 }).toBe(202);
  });

  it("a package that cannot be installed makes ./airlock up fail, and the error names no directory", async () => {
    await write("install", "packages: [no-such-package-of-airlock]\n");
    const { status, stdout, stderr } = await runAirlock(["up", "install"], { env });
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toContain("install is down: The project's packages could not be installed");
    expect(stderr).not.toContain(airlock.directory);
  });
});

describe("a script that has run, and whose project file is broken when Airlock is back after a crash", () => {
  it("a script that had run before a crash, and whose project file is broken since, ends as worker_lost, not start_failed", async () => {
    const own = await startAirlock({ projects: { small: "" } });
    let again: TestAirlock | undefined;
    try {
      const rest = restClient(own.url);
      const code = "import time; print('side effect', flush=True); time.sleep(30)";
      const id = await rest.submit({ project: "small", code });
      await expect.poll(async () => (await rest.get(id)).stdout, { timeout: 20_000 }).toBe("side effect\n");
      await writeFile(join(own.projectsDirectory, "small.yaml"), "name: small\nno_such_field: 1\n");
      await own.kill();
      again = await own.restart();
      const ended = await restClient(again.url).settled(id);
      expect(ended).toMatchObject({ end_reason: "worker_lost", stdout: "side effect\n" });
    } finally {
      await (again ?? own).remove();
    }
  }, 60_000);
});
