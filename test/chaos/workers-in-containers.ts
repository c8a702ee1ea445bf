import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import type Docker from "dockerode";
import { DOCKER_ENVIRONMENT } from "../harness/docker/classes.ts";
import type { PrivateEngine } from "../harness/docker/private-engine.ts";
import { makeCertificates } from "../harness/tls-services.ts";
import { childrenOf, commandLine, processesNaming } from "../support/process-tree.ts";
import { FREEZE_MS } from "./faults.ts";
import { keepService } from "./kept-service.ts";
import type { OpenWorkerHost } from "./worker-host.ts";

// One deployment for all harnesses on an engine, so that images are built once.
const DEPLOYMENT = "chaos";
// systemd, too, starts a Docker engine again two seconds after it died.
const RESTART_ENGINE_AFTER_MS = 2_000;
// Limits each call, because the engine may be frozen or away.
const FAULT_TIMEOUT_MS = 20_000;
const UNPAUSE_TIMEOUT_MS = 60_000;
// Variables of this process that image builds may need behind a company's proxy; no others are passed on.
const BUILDS = /^((PIP|UV)_.+|SSL_CERT_FILE|(https?|all|no)_proxy)$/i;

/** Runs workers as containers of the test's own engine, which is a target of faults, too. */
export function workersInContainers(engine: PrivateEngine): OpenWorkerHost {
  return async (directory) => {
    const certificates = join(directory, "certificates");
    await makeCertificates(certificates);
    const temporary = join(directory, "tmp");
    await mkdir(temporary);
    const kept = await keepService("engine", engine.start, RESTART_ENGINE_AFTER_MS);
    const buildEnvironment = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => BUILDS.test(name)),
    ) as Record<string, string>;
    /** The containerd-shim of each container, so that containers are counted while the engine is away. */
    const shims = async () => {
      const named = await processesNaming(engine.directory);
      const lines = await Promise.all(named.map(commandLine));
      return named.filter((_, index) => lines[index]?.includes("containerd-shim"));
    };
    const grandchildren = async (pid: number) =>
      (await Promise.all((await childrenOf(pid)).map(childrenOf))).flat();
    const containers = () => engine.docker.listContainers({ all: true });
    const { liveRestore } = engine;
    return {
      services: new Map([["engine", kept]]),
      targets: ["container", "engine"],
      causes: {
        worker_lost: [
          ...([
            "kill supervisor",
            "kill zygote",
            "kill template",
            "kill run child",
            "kill container",
          ] as const),
          // A pool-manager that starts meanwhile does not take over a container that is paused.
          "freeze container",
          ...(liveRestore ? [] : (["kill engine"] as const)),
        ],
        killed: ["kill run child", "kill zygote", "kill template"],
        start_failed: ["kill zygote", "kill template", "kill engine"],
      },
      environmentOf(service) {
        const dialsWorkers = ["pool-manager", "router-1", "router-2", "egress"].includes(service);
        const identity = service.replace(/-\d$/, "");
        return {
          ...(dialsWorkers && { AIRLOCK_TLS_DIR: join(certificates, identity) }),
          ...(service === "pool-manager" && {
            ...buildEnvironment,
            ...DOCKER_ENVIRONMENT,
            DOCKER_HOST: engine.host,
            TMPDIR: temporary,
            AIRLOCK_DEPLOYMENT: DEPLOYMENT,
            AIRLOCK_WORKER_TLS_DIR: join(certificates, "worker"),
          }),
        };
      },
      // An init process stands between a container's shim and its worker.
      supervisors: async () => (await Promise.all((await shims()).map(grandchildren))).flat(),
      async injectFault(action, target, random) {
        if (target !== "container") return undefined;
        const abortSignal = AbortSignal.timeout(FAULT_TIMEOUT_MS);
        try {
          const running = await engine.docker.listContainers({ abortSignal });
          const { Id } = random.pick(running);
          const container = engine.docker.getContainer(Id);
          if (action === "kill") {
            await container.kill({ abortSignal });
            return { resumed: Promise.resolve() };
          }
          await container.pause({ abortSignal });
          return { resumed: unpauseLater(container) };
        } catch {
          return undefined;
        }
      },
      async counts() {
        const all = await containers();
        const { Volumes } = await engine.docker.listVolumes();
        return {
          containers: all.length,
          running: all.filter(({ State }) => State === "running").length,
          // Children of shims, because an engine that dies while it starts a container leaves a shim without a child.
          alive: (await Promise.all((await shims()).map(childrenOf))).flat().length,
          networks: (await engine.docker.listNetworks({ filters: { type: ["custom"] } })).length,
          volumes: Volumes?.length ?? 0,
          files: (await readdir(temporary)).length,
        };
      },
      expected(workers) {
        const all = Object.values(workers).reduce((sum, each) => sum + each, 0);
        const projects = Object.keys(workers).length;
        // The pool-manager announces its ownership by one volume.
        const volumes = all > 0 ? 1 : 0;
        return { containers: all, running: all, alive: all, networks: projects, volumes, files: 0 };
      },
      async remove() {
        await kept.remove();
        await engine.clear();
      },
    };
  };
}

async function unpauseLater(container: Docker.Container): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, FREEZE_MS));
  // The engine may be away at this moment, so the call is repeated.
  for (const until = Date.now() + UNPAUSE_TIMEOUT_MS; Date.now() < until; ) {
    try {
      return await container.unpause({ abortSignal: AbortSignal.timeout(FAULT_TIMEOUT_MS) });
    } catch (error) {
      // An answer with a status: the container has ended meanwhile.
      if ((error as { statusCode?: number }).statusCode !== undefined) return;
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
