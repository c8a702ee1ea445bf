import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { access, constants, mkdir, mkdtemp, rm, statfs, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import Docker from "dockerode";
import { vi } from "vitest";
import { docker } from "./docker.ts";

const run = promisify(execFile);
const READY = { timeout: 60_000, interval: 100 };
const STOP_MS = 20_000;

/** An engine of a test's own, which it may stop without harm to others. */
export type PrivateEngine = {
  readonly host: string;
  readonly docker: Docker;
  start(): Promise<void>;
  /** Ends it with all its containers, as a restart of the machine's engine does. */
  stop(): Promise<void>;
  /** Leaves only so much room on its disk; it must have one of its own. */
  fill(leftBytes: number): Promise<void>;
  /** Makes room again. */
  unfill(): Promise<void>;
  close(): Promise<void>;
};

/** Why none can be started here; undefined when one can. */
export async function privateEngineMissing(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return "an engine of one's own needs root";
  for (const place of (process.env.PATH ?? "").split(":").concat("/usr/sbin")) {
    const found = await access(join(place, "dockerd"), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return undefined;
  }
  return "no dockerd here";
}

/**
 * It knows the image `base` of the machine's engine; networks are bridges without firewall rules. `diskBytes`: the size of
 * a disk of its own, in memory.
 */
export async function startPrivateEngine(base: string, diskBytes?: number): Promise<PrivateEngine> {
  const directory = await mkdtemp(join(tmpdir(), "airlock-engine-"));
  const data = join(directory, "data");
  const filler = join(data, "filler");
  if (diskBytes !== undefined) {
    await mkdir(data);
    await run("mount", ["-t", "tmpfs", "-o", `size=${diskBytes}`, "tmpfs", data]);
  }
  const socket = join(directory, "docker.sock");
  // Not the one of the machine's engine.
  const configuration = join(directory, "daemon.json");
  await writeFile(configuration, "{}");
  const engine = new Docker({ socketPath: socket });
  let daemon: ChildProcess | undefined;
  const start = async () => {
    daemon = spawn(
      "dockerd",
      [
        ...["--host", `unix://${socket}`, "--data-root", data],
        ...["--exec-root", join(directory, "exec"), "--pidfile", join(directory, "pid")],
        // Beside the machine's engine: no interface and no rules that both would want.
        ...["--bridge=none", "--iptables=false", "--ip-forward=false", "--ip6tables=false"],
        ...["--default-address-pool", "base=10.213.0.0/16,size=24", "--config-file", configuration],
      ],
      { stdio: "ignore" },
    );
    await vi.waitUntil(
      () =>
        engine.ping().then(
          () => true,
          () => false,
        ),
      READY,
    );
  };
  const stop = async () => {
    if (!daemon || daemon.exitCode !== null || daemon.signalCode !== null) return;
    const ended = once(daemon, "exit");
    daemon.kill("SIGTERM");
    const force = setTimeout(() => daemon?.kill("SIGKILL"), STOP_MS);
    await ended;
    clearTimeout(force);
  };
  await start();
  await engine.loadImage(await docker.getImage(base).get()).then((stream) => {
    stream.resume();
    return once(stream, "end");
  });
  return {
    host: `unix://${socket}`,
    docker: engine,
    start,
    stop,
    async fill(leftBytes) {
      const { bavail, bsize } = await statfs(data);
      await run("fallocate", ["--length", String(bavail * bsize - leftBytes), filler]);
    },
    unfill: () => rm(filler),
    async close() {
      await stop();
      // What the engine had mounted must be gone before its directory is removed.
      const mounts = (await run("findmnt", ["-rno", "TARGET"])).stdout.split("\n");
      for (const mount of mounts.filter((each) => each.startsWith(directory)).reverse()) {
        await run("umount", ["-l", mount]).catch(() => undefined);
      }
      await rm(directory, { recursive: true, force: true });
    },
  };
}
