import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { freePort } from "../support/free-port.ts";

const BAO = process.env.AIRLOCK_BAO || join(import.meta.dirname, "..", "..", ".venv", "bin", "bao");
const START_TIMEOUT_MS = 30_000;
export const ROOT_TOKEN = "root-token-of-a-test";

/** The reason why this machine has no OpenBao; undefined when it has. `./airlock test` installs it on Linux. */
export function openBaoMissing(): string | undefined {
  try {
    accessSync(BAO, constants.X_OK);
    return undefined;
  } catch {
    return "no OpenBao server here: ./airlock test installs it on Linux";
  }
}

export type OpenBao = {
  readonly address: string;
  /** Calls the API with the root token; resolves to the response body, rejects unless the status is 2xx. */
  call(method: string, path: string, body?: unknown): Promise<Record<string, never>>;
  stop(): Promise<void>;
};

/** Starts a real OpenBao server in memory, unsealed, with a KV v2 engine at `secret/`. */
export async function startOpenBao(): Promise<OpenBao> {
  const port = await freePort();
  const address = `http://127.0.0.1:${port}`;
  // The token is an environment variable, because every user of the machine can read arguments.
  const server: ChildProcess = spawn(
    BAO,
    ["server", "-dev", `-dev-listen-address=127.0.0.1:${port}`, "-dev-no-store-token"],
    {
      env: { PATH: process.env.PATH, HOME: process.env.HOME, BAO_DEV_ROOT_TOKEN_ID: ROOT_TOKEN },
      stdio: "ignore",
    },
  );
  const exited = once(server, "exit");
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const health = await fetch(`${address}/v1/sys/health`).catch(() => undefined);
    if (health?.status === 200) break;
    if (Date.now() > deadline || server.exitCode !== null) {
      server.kill("SIGKILL");
      throw new Error("OpenBao did not start");
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    address,
    async call(method, path, body) {
      const response = await fetch(`${address}/v1/${path}`, {
        method,
        headers: { "x-vault-token": ROOT_TOKEN },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
      return text === "" ? {} : JSON.parse(text);
    },
    async stop() {
      server.kill("SIGKILL");
      await exited;
    },
  };
}
