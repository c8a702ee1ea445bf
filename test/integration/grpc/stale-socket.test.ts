import { mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { callUnary, connectTo } from "#common/grpc/client.ts";
import { SecretsServiceClient } from "#proto/secrets.ts";
import { type ServiceProcess, startServiceProcess } from "../../harness/service-process.ts";

let directory: string;
let env: Record<string, string>;
let services: ServiceProcess[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "airlock-socket-"));
  await mkdir(join(directory, "projects"));
  await writeFile(join(directory, "projects", "demo.yaml"), "name: demo\n");
  env = {
    AIRLOCK_LISTEN: `unix:${directory}/secrets.sock`,
    AIRLOCK_PROJECTS_DIR: join(directory, "projects"),
  };
  services = [];
});
afterEach(async () => {
  for (const service of services) await service.kill();
  await rm(directory, { recursive: true });
});

const start = async () => {
  const service = await startServiceProcess("secrets", env);
  services.push(service);
  return service;
};
const versionOf = async (project: string) => {
  const client = connectTo(SecretsServiceClient, env.AIRLOCK_LISTEN as string);
  const asked = callUnary(client, client.resolveSecrets, { project }, "secrets", { timeoutMs: 10_000 });
  const { version } = await asked.finally(() => client.close());
  return version;
};

it("a service that was killed listens again on its socket", async () => {
  const first = await start();
  await first.kill();
  await start();
  expect(await versionOf("demo")).not.toBe("");
});

it.each([
  ["lives", () => undefined],
  ["is frozen", (first: ServiceProcess) => first.signal("SIGSTOP")],
])("a second service does not take the socket of a service that %s", async (_, change) => {
  const first = await start();
  change(first);
  await expect(start()).rejects.toThrow(/EADDRINUSE/);
  first.signal("SIGCONT");
  expect(await versionOf("demo")).not.toBe("");
});

it("a file that is not a socket stays where a service should listen", async () => {
  const path = join(directory, "secrets.sock");
  await writeFile(path, "a file");
  await expect(start()).rejects.toThrow(/EADDRINUSE/);
  expect((await stat(path)).size).toBe(6);
});
