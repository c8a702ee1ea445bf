import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";

const OLD = "old-value-1f9c03-aaaa";
const NEW = "new-value-77be21-bbbb";
const REPORT = "import hashlib; set_result(hashlib.sha256(settings.get('TOKEN').encode()).hexdigest())";

let airlock: TestAirlock;
let rest: RestClient;

beforeAll(async () => {
  airlock = await startAirlock({ projects: { demo: 'secrets: {TOKEN: "${file:token}"}\n' } });
  rest = restClient(airlock.url);
});
afterAll(() => airlock.remove());

const rotate = (value: string) => writeFile(join(airlock.projectsDirectory, "token"), value);
const seen = async () => (await rest.run({ code: REPORT })).result;
const hashOf = (value: string) => createHash("sha256").update(value).digest("hex");

describe("a secret that is rotated while a script runs", () => {
  it("a secret that is rotated while a script runs is redacted in that run's own value, and the next run has the new one", async () => {
    await rotate(OLD);
    // The project could not be used without it.
    await expect
      .poll(async () => (await fetch(`${airlock.url}/projects/demo`)).text())
      .toContain(`"problem":null`);
    const id = await rest.submit({
      code: `
import time
old = settings.get('TOKEN')
print('ready', flush=True)
time.sleep(8)
print(old, flush=True)
set_result({'old': old, old: settings.get('TOKEN') == old})
`,
    });
    await expect.poll(async () => (await rest.get(id)).stdout, { timeout: 20_000 }).toContain("ready");
    await rotate(NEW);
    await sleep(1_100);
    expect(await seen()).toBe(hashOf(NEW));
    expect(await rest.settled(id)).toMatchObject({
      status: "completed",
      stdout: "ready\n[REDACTED...aaaa]\n",
      result: { old: "[REDACTED...aaaa]", "[REDACTED...aaaa]": true },
    });
    // What a run was not given is no secret of it: a run that is told of its redaction could guess it.
    const later = await rest.run({
      code: `print('${OLD.slice(0, 9)}' + '${OLD.slice(9)}', settings.get('TOKEN'))`,
    });
    expect(later.stdout).toBe(`${OLD} [REDACTED...bbbb]\n`);
  });

  it("a secret that is rotated again and again reaches each next run without a restart", async () => {
    for (const value of ["value-number-one", "value-number-two", "value-number-one"]) {
      await rotate(value);
      await sleep(1_100);
      expect(await seen()).toBe(hashOf(value));
    }
  });
});

describe("a secret that becomes brokered, or is no longer", () => {
  const VALUE = "q7Zk2Lm9Xw4Rt8Bn3Vc6Hd1Jf5Gp0SaE";
  const INJECT = "inject: {host: erp.example, header: Authorization, format: 'Bearer {}'}";
  const write = (text: string) =>
    writeFile(join(airlock.projectsDirectory, "switch.yaml"), `name: switch\n${text}`);
  const printed = async (code: string) => (await rest.run({ project: "switch", code })).stdout;
  const hasPlaceholder = async () => (await printed("print(settings.get('TOK'))")).startsWith("airlock");

  it("a secret that becomes brokered, or is no longer, is redacted exactly in the runs that have its value", async () => {
    for (let round = 0; round < 2; round++) {
      await write(`secrets: {TOK: {value: ${VALUE}, ${INJECT}}}\n`);
      await expect.poll(hasPlaceholder).toBe(true);
      // What a run is not given has no influence on what is told of it, as soon as runs are no longer given it.
      await expect.poll(() => printed(`print('${VALUE}')`)).toBe(`${VALUE}\n`);
      await write(`secrets: {TOK: ${VALUE}}\n`);
      const seen: string[] = [];
      await expect
        .poll(async () => seen[seen.push(await printed("print(settings.get('TOK'))")) - 1])
        .toBe("[REDACTED...0SaE]\n");
      expect(seen.join("")).not.toContain(VALUE);
    }
  });
});
