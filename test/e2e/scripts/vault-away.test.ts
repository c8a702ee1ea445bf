import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";

let status = 200;
const vault = createServer((_request, response) => {
  const data = { data: { token: "vault-token-5be1a0-zzzz" }, metadata: {} };
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ data }));
});
let airlock: TestAirlock;
let rest: RestClient;

beforeAll(async () => {
  vault.listen(0, "127.0.0.1");
  await once(vault, "listening");
  airlock = await startAirlock({
    projects: { billing: 'secrets: {KEY: "${vault:secret/erp#token}"}\n' },
    env: {
      AIRLOCK_VAULT_ADDR: `http://127.0.0.1:${(vault.address() as AddressInfo).port}`,
      AIRLOCK_VAULT_TOKEN: "t",
      AIRLOCK_VAULT_CACHE_TTL: "1ms",
    },
  });
  rest = restClient(airlock.url);
  expect((await rest.settled(await rest.submit({ project: "billing", code: "set_result(1)" }))).result).toBe(
    1,
  );
});
afterAll(async () => {
  await airlock.remove();
  vault.close();
});

const warnings = async () => {
  const lines = (await readFile(join(airlock.dataDirectory, "logs", "airlock.log"), "utf8"))
    .trim()
    .split("\n");
  return lines.map((line) => JSON.parse(line)).filter(({ msg }) => /cannot be given its secrets/.test(msg));
};
const settle = { timeout: 20_000, interval: 200 };

it("an execution waits for a sealed vault, although a worker is up; operators are told once", async () => {
  status = 503;
  // Values that a worker was given a second ago are taken as they are.
  await sleep(1_100);
  const id = await rest.submit({ project: "billing", code: "set_result(2)" });
  const why =
    'Project "billing" cannot be given its secrets. Secret KEY (a ${vault:} reference) cannot be used: the vault is sealed.';
  await vi.waitFor(async () => {
    expect((await rest.get(id)).waiting_on?.detail).toContain(why);
  }, settle);
  expect((await rest.project("billing")).detail).toBe(why);
  // The log file is written in batches.
  await expect.poll(warnings).toMatchObject([{ level: expect.anything(), project: "billing", detail: why }]);
  status = 200;
  expect((await rest.settled(id)).result).toBe(2);
  expect((await rest.project("billing")).detail).toBeNull();
  expect(await warnings()).toHaveLength(1);
});

it("a vault that denies permission is shown until it permits again, without another execution", async () => {
  status = 403;
  await sleep(1_100);
  const { end_reason } = await rest.settled(await rest.submit({ project: "billing", code: "set_result(3)" }));
  expect(end_reason).toBe("start_failed");
  expect((await rest.project("billing")).detail).toContain("the vault denies permission to this token");
  await expect
    .poll(async () => (await warnings()).at(-1)?.detail)
    .toContain("the vault denies permission to this token");
  status = 200;
  await vi.waitFor(async () => expect((await rest.project("billing")).detail).toBeNull(), settle);
});
