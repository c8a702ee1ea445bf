import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ExpectStatic } from "vitest";
import { createLog } from "#common/service/log.ts";
import type { Execution } from "#sdk/execution.ts";
import { startGateway } from "../../../gateway/main.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";
import { type ServiceProcess, startServiceProcess } from "../../harness/service-process.ts";
import { startServices } from "../../harness/services.ts";
import { leaksOf } from "../cases/leaks.ts";

export const SECRETS = { TOKEN: "tok-5f2c9a7e41d0-wxyz", QUOTED: `pass"word\\with/ünïcode&<tag>'s` };

const USABLE_MS = 10_000;

type Killable = "secrets" | "sanitizer";

/** All services; the secrets service and the sanitizer are separate processes that a test can kill. */
export type WithheldHarness = {
  readonly rest: RestClient;
  process(service: Killable): ServiceProcess;
  /** Starts a service again that was killed. */
  restart(service: Killable): Promise<void>;
  /** Resolves when the script has printed `ready`. */
  begun(id: string, expect: ExpectStatic): Promise<void>;
  /** Fails the test unless the execution ends as output_withheld, and no secret is readable anywhere. */
  expectWithheld(id: string, expect: ExpectStatic): Promise<void>;
  /** Fails the test unless the execution completes with `stdout` (a text or a matcher), and no secret is readable anywhere. */
  expectCompleted(id: string, expect: ExpectStatic, stdout: unknown): Promise<void>;
  /** Fails the test unless a new execution completes with redacted output soon. */
  expectHealthy(expect: ExpectStatic): Promise<void>;
  stop(): Promise<void>;
};

export async function openWithheldHarness(): Promise<WithheldHarness> {
  const logged: string[] = [];
  /** All REST response bodies. */
  const bodies: string[] = [];
  const log = createLog("test", "debug", { write: (line) => void logged.push(line) });
  const project = 'secrets: {TOKEN: "${env:AIRLOCK_TEST_TOKEN}", QUOTED: "${env:AIRLOCK_TEST_QUOTED}"}\n';
  const services = await startServices({ demo: project }, { log });
  for (const service of ["sanitizer", "secrets"] as const) await services.stop(service);
  const environments = {
    secrets: {
      AIRLOCK_LISTEN: services.address("secrets"),
      AIRLOCK_PROJECTS_DIR: join(services.directory, "projects"),
      AIRLOCK_TEST_TOKEN: SECRETS.TOKEN,
      AIRLOCK_TEST_QUOTED: SECRETS.QUOTED,
    },
    sanitizer: {
      AIRLOCK_LISTEN: services.address("sanitizer"),
      AIRLOCK_SECRETS_ADDRESS: services.address("secrets"),
    },
  };
  const start = (service: Killable) => startServiceProcess(service, environments[service]);
  const running = { secrets: await start("secrets"), sanitizer: await start("sanitizer") };
  const gateway = await startGateway(
    {
      ...{ host: "127.0.0.1", port: 0 },
      routerAddress: services.address("router"),
      poolManagerAddress: services.address("pool-manager"),
      authorityAddress: services.address("authority"),
    },
    log,
  );
  const rest = restClient(`http://127.0.0.1:${gateway.port}`);
  // The first secrets service, which had no values, may have been asked about the project.
  const usableBy = Date.now() + USABLE_MS;
  while ((await rest.project("demo")).problem !== null && Date.now() < usableBy) await sleep(50);

  const look = async (path: string): Promise<string> => {
    const text = await (await fetch(`${rest.url}${path}`)).text();
    bodies.push(text);
    return text;
  };
  /** Polls the execution every 50 ms until it has ended, and keeps all responses. */
  const watched = async (id: string): Promise<Execution> => {
    for (;;) {
      const execution = JSON.parse(await look(`/executions/${id}`)) as Execution;
      if (execution.end_reason !== null) return execution;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  /** Fails the test if a REST response, a log line or a stored file holds a secret. */
  const expectNothingRaw = async (expect: ExpectStatic): Promise<void> => {
    for (const path of ["/executions?limit=50", "/metrics", "/projects/demo"]) await look(path);
    const texts: [string, string | Buffer][] = [
      ...bodies.map((body): [string, string] => ["REST", body]),
      ["log", logged.join("")],
      ["secrets", running.secrets.output()],
      ["sanitizer", running.sanitizer.output()],
    ];
    const files = await readdir(services.directory, { recursive: true, withFileTypes: true });
    // Files of the environments are skipped, because they hold Python packages only.
    for (const file of files.filter((each) => each.isFile() && !each.parentPath.includes("environments"))) {
      texts.push([file.name, await readFile(join(file.parentPath, file.name))]);
    }
    expect(texts.map(([name]) => name)).toEqual(expect.arrayContaining(["airlock.db", "airlock.db-wal"]));
    expect(texts.flatMap(([name, text]) => leaksOf(text, SECRETS).map((secret) => [name, secret]))).toEqual(
      [],
    );
  };

  return {
    rest,
    process: (service) => running[service],
    async restart(service) {
      // A killed process leaves the file of its socket.
      await rm(services.address(service).replace("unix:", ""), { force: true });
      running[service] = await start(service);
    },
    begun: (id, expect) =>
      expect
        .poll(async () => JSON.parse(await look(`/executions/${id}`)).stdout, { timeout: 20_000 })
        .toBe("ready\n"),
    async expectWithheld(id, expect) {
      expect(await watched(id)).toMatchObject({
        ...{ status: "error", end_reason: "output_withheld", result: null, llm_request: null },
        ...{ stdout: "ready\n", memory_updates: {}, error: expect.stringContaining("withheld") },
      });
      await look(`/executions/${id}/redactions`);
      await expectNothingRaw(expect);
    },
    async expectCompleted(id, expect, stdout) {
      expect(await watched(id)).toMatchObject({ end_reason: "completed", stdout });
      await look(`/executions/${id}/redactions`);
      await expectNothingRaw(expect);
    },
    async expectHealthy(expect) {
      const code = "print(settings.get('TOKEN')); set_result(1)";
      const next = async () => {
        const { end_reason, stdout } = await rest.run({ code });
        return [end_reason, stdout];
      };
      await expect.poll(next).toEqual(["completed", "[REDACTED...wxyz]\n"]);
    },
    async stop() {
      await gateway.drain(0);
      await services.close();
      await running.sanitizer.kill();
      await running.secrets.kill();
    },
  };
}
