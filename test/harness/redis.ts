import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Secret } from "#common/secret.ts";
import { freePort } from "../support/free-port.ts";

const SERVER = "/usr/bin/redis-server";
const START_TIMEOUT_MS = 30_000;
/** The password of each Redis of a test. */
export const REDIS_PASSWORD = "redis-pass-71c0d2";

/** The reason why this machine has no Redis; undefined when it has. */
export function redisMissing(): string | undefined {
  try {
    accessSync(SERVER, constants.X_OK);
    return undefined;
  } catch {
    return "no Redis server here: install redis-server";
  }
}

export type TestRedis = {
  readonly url: Secret;
  signal(name: NodeJS.Signals): void;
  /** Kills the server as a crash would. */
  kill(): Promise<void>;
  /** Starts the server anew, on the same port and empty. */
  start(): Promise<void>;
};

/** Starts a real Redis in memory, which demands a password. */
export async function startRedis(): Promise<TestRedis> {
  const port = await freePort();
  const start = async () => {
    const server = spawn(SERVER, ["-"], { stdio: ["pipe", "ignore", "ignore"] });
    server.stdin.end(`bind 127.0.0.1\nport ${port}\nsave ""\nappendonly no\nrequirepass ${REDIS_PASSWORD}\n`);
    const deadline = Date.now() + START_TIMEOUT_MS;
    while (!(await listens(port))) {
      if (Date.now() > deadline || server.exitCode !== null) {
        server.kill("SIGKILL");
        throw new Error("Redis did not start");
      }
      await sleep(20);
    }
    return server;
  };
  let server = await start();
  return {
    url: new Secret("REDIS_URL", `redis://:${REDIS_PASSWORD}@127.0.0.1:${port}/1`),
    signal: (name) => void server.kill(name),
    async kill() {
      if (server.exitCode !== null || server.signalCode !== null) return;
      const exited = once(server, "exit");
      server.kill("SIGKILL");
      await exited;
    },
    async start() {
      server = await start();
    },
  };
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
