import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { RULES } from "#common/identity/authorization.ts";
import { GENERATED } from "../../../cli/commands/generate.ts";
import { workerCallers } from "../../../cli/generated/worker-callers.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");

it("the worker judges its callers by the rows that the table has for its RPCs", async () => {
  const path = join("worker", "airlock_worker", "supervisor", "callers.py");
  const module = await readFile(join(ROOT, path), "utf8");
  expect(module).toBe(workerCallers());
  expect(GENERATED).toContain(path);
  const rows = [...module.matchAll(/^ {4}"(\w+)": frozenset\(\{(.*)\}\),$/gm)].map(([, rpc, callers]) => [
    `/airlock.v1.WorkerService/${rpc}`,
    JSON.parse(`[${callers}]`),
  ]);
  const expected = Object.entries(RULES).flatMap(([rpc, { service, callers }]) =>
    service === "worker" ? [[rpc, callers]] : [],
  );
  expect(rows).toEqual(expected);
  expect(rows.length).toBeGreaterThan(0);
});
