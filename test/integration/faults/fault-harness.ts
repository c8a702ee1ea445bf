import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Deployment, startDeployment } from "../../harness/deployment.ts";
import type { EchoServer } from "../../harness/echo-server.ts";
import type { TestDatabase, TestPostgres } from "../../harness/postgres.ts";
import { startToxiproxy, type Toxiproxy } from "../../harness/toxiproxy.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");
const PYTHON = process.env.AIRLOCK_PYTHON ?? join(ROOT, ".venv", "bin", "python");

/** Every service as a process, with Toxiproxy on every way between two of them. */
export type FaultHarness = {
  readonly deployment: Deployment;
  readonly toxiproxy: Toxiproxy;
  readonly database: TestDatabase;
  stop(): Promise<void>;
};

/** `postgres` and `server` may be other harnesses' too. */
export async function openFaultHarness(postgres: TestPostgres, server: EchoServer): Promise<FaultHarness> {
  const database = await postgres.newDatabase();
  const toxiproxy = await startToxiproxy();
  const directory = await mkdtemp(join(tmpdir(), "airlock-f-"));
  const python = join(directory, "python");
  const proxied = join(ROOT, "test", "harness", "proxied-worker.py");
  await writeFile(python, `#!/bin/sh\nexec "${PYTHON}" "${proxied}" "${PYTHON}" "${toxiproxy.api}" "$@"\n`);
  await chmod(python, 0o755);
  const stopProxies = async () => {
    await toxiproxy.stop();
    await rm(directory, { recursive: true });
  };
  const url = new URL(database.url.replace(/@[^/]*\//, `@127.0.0.1:${postgres.port}/`));
  url.port = String(await toxiproxy.proxy("router→postgres", postgres.port));
  let count = 0;
  try {
    const deployment = await startDeployment({
      projects: {
        demo: "replicas: 2\n",
        listed: `replicas: 2\nnetwork_allowlist: ["127.0.0.1:${server.port}"]\nallow_private: [127.0.0.1]\n`,
      },
      databaseUrl: url.href,
      routers: 2,
      python,
      between: (edge, port) => toxiproxy.proxy(`${edge} ${++count}`, port),
    });
    return {
      ...{ deployment, toxiproxy, database },
      async stop() {
        await deployment.remove();
        await stopProxies();
      },
    };
  } catch (error) {
    await stopProxies();
    throw error;
  }
}
