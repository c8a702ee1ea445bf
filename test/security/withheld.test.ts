import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startGateway } from "../../gateway/main.ts";
import { createLog } from "../../services/common/log.ts";
import { type ExecutionView, type RestClient, restClient } from "../support/rest.ts";
import { type ServiceProcess, startServiceProcess } from "../support/service-process.ts";
import { startServices, type TestServices } from "../support/services.ts";
import { leaksOf } from "./leaks.ts";

const SECRETS = { TOKEN: "tok-5f2c9a7e41d0-wxyz", QUOTED: `pass"word\\with/ünïcode&<tag>'s` };
const BEGINS = `
import json, os, time
token, quoted = settings.get('TOKEN').encode(), settings.get('QUOTED')
os.write(1, b'ready\\n' + token[:10])
time.sleep(1)
`;
const ENDINGS = {
  "prints on and on":
    "os.write(1, token[10:])\nfor _ in range(600): os.write(1, token + b'\\n'); os.write(2, token); time.sleep(0.02)",
  "ends with a result":
    "os.write(1, token[10:]); memory.set('m', quoted, [quoted]); set_result([quoted, settings.get('TOKEN')] * 5000)",
  "ends with an exception": "raise ValueError(settings.get('TOKEN') + quoted)",
  "asks a question": "llm.complete(settings.get('TOKEN') + quoted)",
};

let services: TestServices;
let secrets: ServiceProcess;
let sanitizer: ServiceProcess;
let gateway: Awaited<ReturnType<typeof startGateway>>;
let rest: RestClient;
const logged: string[] = [];
/** All that REST said. */
const bodies: string[] = [];

const startSecretsProcess = () =>
  startServiceProcess("secrets", {
    AIRLOCK_LISTEN: services.address("secrets"),
    AIRLOCK_PROJECTS_DIR: join(services.directory, "projects"),
    AIRLOCK_TEST_TOKEN: SECRETS.TOKEN,
    AIRLOCK_TEST_QUOTED: SECRETS.QUOTED,
  });
const startSanitizerProcess = () =>
  startServiceProcess("sanitizer", {
    AIRLOCK_LISTEN: services.address("sanitizer"),
    AIRLOCK_SECRETS_ADDRESS: services.address("secrets"),
  });

// A killed process leaves the file of its socket.
const clear = (service: string) => rm(services.address(service).replace("unix:", ""), { force: true });

async function restartSanitizer(): Promise<void> {
  await clear("sanitizer");
  sanitizer = await startSanitizerProcess();
}

beforeAll(async () => {
  const log = createLog("test", "debug", { write: (line) => void logged.push(line) });
  const project = 'secrets: {TOKEN: "${env:AIRLOCK_TEST_TOKEN}", QUOTED: "${env:AIRLOCK_TEST_QUOTED}"}\n';
  services = await startServices({ demo: project }, { log });
  for (const service of ["sanitizer", "secrets"] as const) await services.stop(service);
  secrets = await startSecretsProcess();
  sanitizer = await startSanitizerProcess();
  gateway = await startGateway(
    {
      ...{ host: "127.0.0.1", port: 0 },
      routerAddress: services.address("router"),
      poolManagerAddress: services.address("pool-manager"),
    },
    log,
  );
  rest = restClient(`http://127.0.0.1:${gateway.port}`);
});
afterAll(async () => {
  await gateway?.drain(0);
  await services?.close();
  await sanitizer?.kill();
  await secrets?.kill();
});

async function look(path: string): Promise<string> {
  const text = await (await fetch(`${rest.url}${path}`)).text();
  bodies.push(text);
  return text;
}

/** The execution as it ends, looked at all the while. */
async function watched(id: string): Promise<ExecutionView> {
  for (;;) {
    const execution = JSON.parse(await look(`/executions/${id}`)) as ExecutionView;
    if (execution.end_reason !== null) return execution;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const begun = (id: string) =>
  expect
    .poll(async () => JSON.parse(await look(`/executions/${id}`)).stdout, { timeout: 20_000 })
    .toBe("ready\n");

/** Nothing that anybody can read afterwards holds a secret: answers, logs of all processes, and every stored byte. */
async function expectNothingRaw(): Promise<void> {
  for (const path of ["/executions?limit=50", "/metrics", "/projects/demo"]) await look(path);
  const texts: [string, string | Buffer][] = [
    ...bodies.map((body): [string, string] => ["REST", body]),
    ["log", logged.join("")],
    ["secrets", secrets.output()],
    ["sanitizer", sanitizer.output()],
  ];
  const files = await readdir(services.directory, { recursive: true, withFileTypes: true });
  // The environments hold Python packages only.
  for (const file of files.filter((each) => each.isFile() && !each.parentPath.includes("environments"))) {
    texts.push([file.name, await readFile(join(file.parentPath, file.name))]);
  }
  expect(texts.map(([name]) => name)).toEqual(expect.arrayContaining(["airlock.db", "airlock.db-wal"]));
  expect(texts.flatMap(([name, text]) => leaksOf(text, SECRETS).map((secret) => [name, secret]))).toEqual([]);
}

/** `stdout`: what had been checked before. */
async function expectWithheld(id: string, stdout: unknown = "ready\n"): Promise<void> {
  expect(await watched(id)).toMatchObject({
    ...{ status: "error", end_reason: "output_withheld", result: null, llm_request: null },
    ...{ stdout, memory_updates: {}, error: expect.stringContaining("withheld") },
  });
  await look(`/executions/${id}/redactions`);
  await expectNothingRaw();
}

/** Soon: who was talking to a service that is gone finds the new one at its next attempt. */
async function expectHealthy(): Promise<void> {
  const code = "print(settings.get('TOKEN')); set_result(1)";
  const next = async () => {
    const { end_reason, stdout } = await rest.run({ code });
    return [end_reason, stdout];
  };
  await expect.poll(next).toEqual(["completed", "[REDACTED...wxyz]\n"]);
}

describe.each(Object.entries(ENDINGS))("a script that %s", { timeout: 60_000 }, (_, ending) => {
  it("leaves nothing when the sanitizer is killed while it runs", async () => {
    const id = await rest.submit({ code: BEGINS + ending });
    await begun(id);
    await sanitizer.kill();
    await expectWithheld(id);
    await restartSanitizer();
    await expectHealthy();
  });

  it("leaves nothing when the sanitizer stands still, and is killed with all that it was given", async () => {
    const id = await rest.submit({ code: BEGINS + ending });
    await begun(id);
    sanitizer.signal("SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await sanitizer.kill();
    await expectWithheld(id);
    await restartSanitizer();
    await expectHealthy();
  });
});

describe("a script that prints on and on", { timeout: 60_000 }, () => {
  const CHECKED = expect.stringMatching(/^ready\n(\[REDACTED\.\.\.wxyz\]|\n)*$/);

  it.each([
    ["is killed", "SIGKILL"],
    ["stands still", "SIGSTOP"],
  ] as const)("leaves nothing unchecked when the secrets service %s while it runs", async (_, signal) => {
    const id = await rest.submit({ code: BEGINS + ENDINGS["prints on and on"] });
    await begun(id);
    secrets.signal(signal);
    await expectWithheld(id, CHECKED);
    await secrets.kill();
    await clear("secrets");
    secrets = await startSecretsProcess();
    await expectHealthy();
  });
});
