import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { connectTo } from "#common/grpc/client.ts";
import { createLog } from "#common/service/log.ts";
import { EgressServiceClient } from "#proto/egress.ts";
import { startEgress } from "../../../services/egress/main.ts";
import { startSecrets } from "../../../services/secrets/main.ts";
import { startTunnelWorker } from "../../harness/tunnel-worker.ts";

it("a network route is opened as before while the project's file has a mistake", async () => {
  const directory = await mkdtemp(join(tmpdir(), "airlock-egress-"));
  const worker = await startTunnelWorker(directory);
  const file = join(directory, "demo.yaml");
  await writeFile(file, 'name: demo\nnetwork_allowlist: ["one.example"]\n');
  const log = createLog("test", "silent");
  const address = (name: string) => `unix:${join(directory, `${name}.sock`)}`;
  const secrets = await startSecrets({ listen: address("secrets"), projectsDir: directory }, log);
  const service = await startEgress(
    {
      listen: address("egress"),
      secretsAddress: address("secrets"),
      projectsDirectory: directory,
      dataDirectory: directory,
      extraCaPath: undefined,
    },
    log,
    async () => ["127.0.0.1"],
  );
  const egress = connectTo(EgressServiceClient, service.address);
  const hold = async (executionId: string) => {
    const request = { project: "demo", executionId, workerId: "w", workerAddress: worker.address };
    const stream = egress.holdRoute({ ...request, secretsVersion: "" });
    stream.on("error", () => undefined);
    await Promise.race([
      once(stream, "data"),
      once(stream, "error").then(([error]) => Promise.reject(error)),
    ]);
    stream.cancel();
  };
  try {
    await hold("before");
    await writeFile(file, "");
    // Longer than the time for which a file must not have changed.
    await sleep(1_500);
    await hold("meanwhile");
    await rm(file);
    await sleep(1_500);
    await expect(hold("removed")).rejects.toThrow("There is no project yet");
  } finally {
    egress.close();
    await service.drain(100);
    await secrets.drain(100);
    await worker.close();
    await rm(directory, { recursive: true });
  }
}, 30_000);
