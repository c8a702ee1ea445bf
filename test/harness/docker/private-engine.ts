import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { access, constants, mkdir, mkdtemp, rm, statfs, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import Docker from "dockerode";
import { vi } from "vitest";
import { processesNaming, send, treeOf } from "../../support/process-tree.ts";
import { type ServiceProcess, serviceProcessOf } from "../service-process.ts";
import { docker } from "./classes.ts";

const run = promisify(execFile);
const READY = { timeout: 60_000, interval: 100 };
const STOP_MS = 20_000;

/** A Docker engine of a test's own, which the test may stop without disturbing other tests. */
export type PrivateEngine = {
  readonly host: string;
  readonly docker: Docker;
  /** The directory of all its files. The containerd-shim of each container names it on its command line. */
  readonly directory: string;
  /** Whether containers run on when the engine dies and starts again; a change counts from the next start. */
  liveRestore: boolean;
  start(): Promise<ServiceProcess>;
  /** Stops the engine and all its containers, as a restart of the machine's engine does. */
  stop(): Promise<void>;
  /** Kills the engine as a crash would: its containers run on until the engine starts again. */
  kill(): Promise<void>;
  /** Fills the engine's disk up to `leftBytes` of free space; needs `diskBytes`. */
  fill(leftBytes: number): Promise<void>;
  /** Frees the space that `fill` took. */
  unfill(): Promise<void>;
  /** Removes all containers, networks and volumes, and stops the engine, in whatever state it is. */
  clear(): Promise<void>;
  /** Does the same as `clear`, and removes the engine's files. */
  close(): Promise<void>;
};

export type PrivateEngineOptions = {
  /** Bytes of the engine's own disk, in memory; undefined means the disk of the temporary directory. */
  readonly diskBytes?: number;
};

/** The reason why this machine can start no private engine; undefined when it can. */
export async function privateEngineMissing(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return "an engine of one's own needs root";
  const places = (process.env.PATH ?? "").split(":").concat("/usr/sbin");
  for (const program of ["dockerd", "containerd"]) {
    const tried = await Promise.allSettled(
      places.map((place) => access(join(place, program), constants.X_OK)),
    );
    if (!tried.some(({ status }) => status === "fulfilled")) return `no ${program} here`;
  }
  return undefined;
}

/** Starts an engine with the image `base` of the machine's engine; its networks are bridges without firewall rules. */
export async function startPrivateEngine(
  base: string,
  { diskBytes }: PrivateEngineOptions = {},
): Promise<PrivateEngine> {
  const directory = await mkdtemp(join(tmpdir(), "airlock-engine-"));
  const data = join(directory, "data");
  const filler = join(data, "filler");
  if (diskBytes !== undefined) {
    await mkdir(data);
    await run("mount", ["-t", "tmpfs", "-o", `size=${diskBytes}`, "tmpfs", data]);
  }
  const socket = join(directory, "docker.sock");
  // A configuration file of its own, so that the engine does not read that of the machine's engine.
  const configuration = join(directory, "daemon.json");
  const engine = new Docker({ socketPath: socket });
  // A containerd that dockerd starts would die with dockerd in the middle of its work. In an installation it is a
  // service.
  const containerd = await startContainerd(directory);
  let daemon: ServiceProcess | undefined;
  const start = async () => {
    await writeFile(configuration, JSON.stringify({ "live-restore": self.liveRestore }));
    const child = spawn(
      "dockerd",
      [
        ...["--host", `unix://${socket}`, "--data-root", data],
        ...["--exec-root", join(directory, "exec"), "--pidfile", join(directory, "pid")],
        ...["--containerd", containerd.address],
        // No bridge and no firewall rules, because the machine's engine has them already.
        ...["--bridge=none", "--iptables=false", "--ip-forward=false", "--ip6tables=false"],
        ...["--default-address-pool", "base=10.213.0.0/16,size=24", "--config-file", configuration],
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    const started = serviceProcessOf(child, "dockerd");
    daemon = started;
    const answers = () =>
      engine.ping().then(
        () => true,
        () => false,
      );
    const ended = started.exited.then((how) => {
      throw new Error(`the engine ${how}:\n${started.output()}`);
    });
    await Promise.race([vi.waitUntil(answers, READY), ended]);
    return started;
  };
  const stop = async () => {
    await daemon?.stop(STOP_MS).catch(() => daemon?.kill());
  };
  const isRunning = () =>
    Promise.race([
      daemon?.exited.then(() => false) ?? false,
      new Promise<boolean>((resolve) => setImmediate(resolve, true)),
    ]);
  const self: PrivateEngine = {
    host: `unix://${socket}`,
    docker: engine,
    ...{ directory, liveRestore: false },
    start,
    stop,
    kill: async () => daemon?.kill(),
    async fill(leftBytes) {
      const { bavail, bsize } = await statfs(data);
      await run("fallocate", ["--length", String(bavail * bsize - leftBytes), filler]);
    },
    unfill: () => rm(filler),
    async clear() {
      // The engine's networks are interfaces of this machine, which only a running engine removes.
      if (!(await isRunning())) await start().catch(() => undefined);
      await removeAll(engine).catch(() => undefined);
      await stop();
    },
    async close() {
      await self.clear();
      await containerd.process.stop(STOP_MS).catch(() => containerd.process.kill());
      for (const pid of await processesNaming(directory)) {
        for (const each of await treeOf(pid)) send(each, "SIGKILL");
      }
      // The engine's mounts must be removed before its directory.
      const mounts = (await run("findmnt", ["-rno", "TARGET"])).stdout.split("\n");
      for (const mount of mounts.filter((each) => each.startsWith(directory)).reverse()) {
        await run("umount", ["-l", mount]).catch(() => undefined);
      }
      await rm(directory, { recursive: true, force: true });
    },
  };
  try {
    await start();
    await engine.loadImage(await docker.getImage(base).get()).then((stream) => {
      stream.resume();
      return once(stream, "end");
    });
  } catch (error) {
    await self.close();
    throw error;
  }
  return self;
}

async function startContainerd(directory: string): Promise<{ address: string; process: ServiceProcess }> {
  const own = join(directory, "containerd");
  const address = join(own, "containerd.sock");
  const configuration = `version = 2
root = "${join(own, "root")}"
state = "${join(own, "state")}"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "${address}"
[plugins."io.containerd.internal.v1.opt"]
path = "${join(own, "opt")}"
`;
  await mkdir(own);
  await writeFile(join(own, "config.toml"), configuration);
  const child = spawn("containerd", ["--config", join(own, "config.toml")], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const started = serviceProcessOf(child, "containerd");
  const listens = () => started.output().includes("containerd successfully booted");
  const ended = started.exited.then((how) => {
    throw new Error(`containerd ${how}:\n${started.output()}`);
  });
  await Promise.race([vi.waitUntil(listens, READY), ended]);
  return { address, process: started };
}

/** Removes all containers, networks and volumes; failures to remove one are ignored. */
async function removeAll(engine: Docker): Promise<void> {
  const tried = (removals: readonly Promise<unknown>[]) => Promise.allSettled(removals);
  const containers = await engine.listContainers({ all: true });
  await tried(containers.map(({ Id }) => engine.getContainer(Id).remove({ force: true, v: true })));
  const networks = await engine.listNetworks({ filters: { type: ["custom"] } });
  await tried(networks.map(({ Id }) => engine.getNetwork(Id).remove()));
  const { Volumes } = await engine.listVolumes();
  await tried((Volumes ?? []).map(({ Name }) => engine.getVolume(Name).remove()));
}
