import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { runAirlock, startAirlock, type TestAirlock } from "../../harness/airlock.ts";

const LINES = 30_000;
const CODE = `import time
for part in range(3):
    print("é" * 99 + "\\n" + ("y" * 99 + "\\n") * ${LINES / 3}, end="", flush=True)
    time.sleep(1.5)
set_result(1)`;

let airlock: TestAirlock;
let proxy: Server;
let polls: number[] = [];

beforeAll(async () => {
  airlock = await startAirlock();
  proxy = createServer(async (request, response) => {
    const chunks = await request.toArray();
    const answer = await fetch(airlock.url + request.url, {
      method: request.method ?? "GET",
      headers: { "content-type": "application/json" },
      ...(chunks.length > 0 && { body: Buffer.concat(chunks) }),
    });
    const body = Buffer.from(await answer.arrayBuffer());
    if (request.method === "GET") polls.push(body.length);
    response.writeHead(answer.status, { "content-type": "application/json" }).end(body);
  }).listen(0, "127.0.0.1");
  await once(proxy, "listening");
});
afterAll(async () => {
  proxy.close();
  await airlock.remove();
});

it.each([
  ["shown as it comes", []],
  ["printed at the end only", ["--json"]],
])("./airlock run fetches output once: %s", async (_name, options) => {
  polls = [];
  const file = join(airlock.directory, "script.py");
  await writeFile(file, CODE);
  const env = { AIRLOCK_URL: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` };
  const { status, stdout } = await runAirlock(["run", file, "--project", "demo", ...options], { env });
  expect(status).toBe(0);
  const output = options.length === 0 ? stdout.replace(/1\n$/, "") : JSON.parse(stdout).stdout;
  expect(output.split("\n").length).toBe(LINES + 3 + 1);
  expect(output.match(/é/g)?.length).toBe(3 * 99);
  expect(polls.length).toBeGreaterThan(5);
  expect(polls.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(1.2 * LINES * 101);
});
