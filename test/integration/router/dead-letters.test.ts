import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openGateway, type TestGateway } from "../../harness/gateway.ts";
import { startServices, type TestServices } from "../../harness/services.ts";
import { wheel } from "../../support/wheel.ts";

type Letters = {
  dead_letters: { execution_id: string; end_reason: string; error: string; retried_as: string[] }[];
  next_cursor: string | null;
};

const CODE = "print(settings.get('WHO')); set_result(memory.get('a', 'b'))";
const SUBMISSION = { code: CODE, timeout: 20, settings: { WHO: "me" }, memory: { a: { b: 2 ** 53 } } };

let services: TestServices;
let gateway: TestGateway;
let packages: string;
const wheelPath = () => join(packages, "atinypackage-1.0-py3-none-any.whl");

beforeEach(async () => {
  // The workers of demo start once its package is there.
  packages = await mkdtemp(join(tmpdir(), "airlock-packages-"));
  services = await startServices({
    demo: `replicas: 1\npackages: ["atinypackage @ file://${wheelPath()}"]\n`,
    other: "replicas: 1\n",
  });
  gateway = await openGateway(services);
});
afterEach(async () => {
  await gateway.stop();
  await services.close();
  await rm(packages, { recursive: true });
});

const list = async (query = "") =>
  (await (await fetch(`${gateway.url}/dead-letters${query}`)).json()) as Letters;
const retry = (id: string, body: object = {}) => gateway.post(`/dead-letters/${id}/retry`, body);
const mend = async () => {
  await writeFile(wheelPath(), wheel("atinypackage", "VALUE = 42\n"));
  await gateway.post("/projects/demo/up", {});
};

it("dead letters are listed with their reasons, page by page", async () => {
  const ids: string[] = [];
  for (let n = 0; n < 3; n++) {
    const { execution_id: id, end_reason } = await gateway.run({ code: `set_result(${n})` });
    expect(end_reason).toBe("start_failed");
    ids.unshift(id);
  }
  await gateway.run({ project: "other", code: "raise SystemExit(1)" });
  const first = await list("?limit=2");
  const second = await list(`?limit=2&cursor=${first.next_cursor}`);
  const letters = [...first.dead_letters, ...second.dead_letters];
  expect(letters.map(({ execution_id }) => execution_id)).toEqual(ids);
  expect(second.next_cursor).toBeNull();
  expect(letters[0]).toEqual({
    execution_id: ids[0],
    project: "demo",
    end_reason: "start_failed",
    error: expect.stringContaining("could not be installed"),
    created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    ended_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    retried_as: [],
    retries: 0,
  });
  expect((await list("?project=other")).dead_letters).toEqual([]);
});

it("a dead letter runs the same submission again as a new execution, once unless asked again", async () => {
  const { execution_id: id } = await gateway.run(SUBMISSION);
  await mend();
  const answers = await Promise.all(Array.from({ length: 20 }, () => retry(id)));
  expect(answers.map(({ status }) => status).sort()).toEqual([202, ...Array(19).fill(409)]);
  const won = answers.find(({ status }) => status === 202);
  const retried = (await won?.json()) as { execution_id: string; poll_url: string };
  expect(retried).toEqual({
    execution_id: expect.not.stringMatching(id),
    status: "pending",
    poll_url: `/executions/${retried.execution_id}`,
    retry_of: id,
  });
  expect(won?.headers.get("location")).toBe(retried.poll_url);
  expect(await gateway.settled(retried.execution_id)).toMatchObject({
    status: "completed",
    stdout: "me\n",
    result: 2 ** 53,
  });
  // The dead letter itself stays as it was.
  expect(await gateway.get(id)).toMatchObject({ status: "error", end_reason: "start_failed" });

  const refused = await retry(id);
  expect(await refused.json()).toMatchObject({
    code: "already_retried",
    detail: expect.stringMatching(new RegExp(`retried as ${retried.execution_id}.+"again": true`)),
  });
  const again = (await (await retry(id, { again: true })).json()) as { execution_id: string };
  expect((await gateway.settled(again.execution_id)).status).toBe("completed");
  expect((await list()).dead_letters).toMatchObject([
    { execution_id: id, retries: 2, retried_as: [retried.execution_id, again.execution_id] },
  ]);
  const repeated = async (query: string) =>
    (await (await fetch(`${gateway.url}/executions?retry_of=${query}`)).json()) as {
      executions: { execution_id: string }[];
      next_cursor: string | null;
    };
  const newest = await repeated(`${id.toUpperCase()}&limit=1`);
  expect(newest).toMatchObject({ executions: [{ execution_id: again.execution_id }] });
  expect(await repeated(`${id}&limit=1&cursor=${newest.next_cursor}`)).toMatchObject({
    executions: [{ execution_id: retried.execution_id }],
    next_cursor: null,
  });
  expect((await repeated(again.execution_id)).executions).toEqual([]);
});

it("dead letters include a run whose output was withheld, and its repetition that ends the same way", async () => {
  await mend();
  await gateway.run({ code: "pass" });
  const id = await gateway.submit({ code: "import time; print('x', flush=True); time.sleep(2); print('y')" });
  await expect.poll(async () => (await gateway.get(id)).status).toBe("running");
  await services.stop("sanitizer");
  expect((await gateway.settled(id)).end_reason).toBe("output_withheld");
  await services.start("sanitizer");
  const retried = (await (await retry(id)).json()) as { execution_id: string };
  expect(await gateway.settled(retried.execution_id)).toMatchObject({
    status: "completed",
    stdout: "x\ny\n",
  });
  expect((await list()).dead_letters).toMatchObject([{ execution_id: id, end_reason: "output_withheld" }]);
}, 60_000);

it("a retry is refused for an execution that is no dead letter, and when its project cannot accept it", async () => {
  const { execution_id: own } = await gateway.run({ project: "other", code: "1 / 0" });
  const refused = await retry(own);
  expect(refused.status).toBe(409);
  expect(await refused.json()).toMatchObject({
    code: "not_a_dead_letter",
    detail: expect.stringContaining("ended as script_error"),
  });
  const running = await gateway.submit({ project: "other", code: "llm.complete('?')" });
  await gateway.settled(running);
  expect(await (await retry(running)).json()).toMatchObject({
    code: "not_a_dead_letter",
    detail: expect.stringContaining("has the status awaiting_llm"),
  });
  const { execution_id: id } = await gateway.run({ code: "pass" });
  await rm(join(services.directory, "projects", "demo.yaml"));
  // The router remembers a project for a second.
  const submit = () => gateway.post("/execute", { project: "demo", code: "pass" });
  await expect.poll(async () => (await submit()).status, { timeout: 20_000 }).toBe(404);
  expect((await retry(id)).status).toBe(404);
  // The oldest one: submissions were accepted until the removal of the file counted.
  expect((await list("?limit=200")).dead_letters.at(-1)).toMatchObject({ execution_id: id, retried_as: [] });
});
