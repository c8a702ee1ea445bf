import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { expect, it } from "vitest";
import { connectTo } from "#common/grpc/client.ts";
import { type Project, parseProjectFile } from "#common/projects/file.ts";
import { systemClock } from "#common/resilience/clock.ts";
import { createLog } from "#common/service/log.ts";
import { SecretsServiceClient } from "#proto/secrets.ts";
import { createProvisioning } from "../../../services/pool-manager/worker/provisioning.ts";
import { startSecrets } from "../../../services/secrets/main.ts";

const VALUE = "value-of-a-secret";

it("the pool-manager prints and logs no value of a project's secrets", async () => {
  const directory = await mkdtemp(join(tmpdir(), "airlock-provisioning-"));
  const text = JSON.stringify({ name: "demo", secrets: { KEY: VALUE } });
  await writeFile(join(directory, "demo.yaml"), text);
  const listen = `unix:${join(directory, "secrets.sock")}`;
  const service = await startSecrets({ listen, projectsDir: directory }, createLog("test", "silent"));
  const client = connectTo(SecretsServiceClient, listen);
  try {
    const provision = createProvisioning(client, systemClock);
    const held = await provision(parseProjectFile("demo.yaml", text) as Project);
    const lines: string[] = [];
    createLog("test", "info", { write: (line) => void lines.push(line) }).info({ held }, "held");
    for (const shown of [inspect(held, { depth: 9, showHidden: true }), JSON.stringify(held), lines.join()]) {
      expect(shown).not.toContain(VALUE);
    }
    expect(inspect(held, { depth: 9 })).toContain("[secret KEY]");
    expect(held.secrets.map((secret) => secret.reveal())).toEqual([VALUE]);
  } finally {
    client.close();
    await service.drain(100);
    await rm(directory, { recursive: true });
  }
});

it("a secrets service that does not answer in time is one to wait for, because it may be busy with other projects", {
  timeout: 30_000,
}, async () => {
  const directory = await mkdtemp(join(tmpdir(), "airlock-provisioning-"));
  const path = join(directory, "secrets.sock");
  const silent = createServer((socket) => socket.on("error", () => undefined)).listen(path);
  await once(silent, "listening");
  const client = connectTo(SecretsServiceClient, `unix:${path}`);
  try {
    const provision = createProvisioning(client, systemClock);
    const project = parseProjectFile(
      "demo.yaml",
      '{"name":"demo","secrets":{"KEY":"a-plain-value"}}',
    ) as Project;
    await expect(provision(project)).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("has not prepared the project's secrets yet"),
    });
  } finally {
    client.close();
    silent.close();
    await rm(directory, { recursive: true });
  }
});
