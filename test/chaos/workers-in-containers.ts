import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import type Docker from "dockerode";
import { DOCKER_ENVIRONMENT } from "../harness/docker/classes.ts";
import type { PrivateEngine } from "../harness/docker/private-engine.ts";
import { makeCertificates } from "../harness/tls-services.ts";
import { childrenOf, commandLine, processesNaming } from "../support/process-tree.ts";
import { FREEZE_MS } from "./faults.ts";
import { keepService } from "./kept-service.ts";
import type { OpenPlace } from "./worker-host.ts";

// One for all stages on an engine: its images are built once.
const DEPLOYMENT = "chaos";
// As systemd does with a Docker engine that died.
const RESTART_ENGINE_AFTER_MS = 2_000;
// The engine may be frozen, or away.
const STRIKE_TIMEOUT_MS = 20_000;
const UNPAUSE_TIMEOUT_MS = 60_000;
// As a company's builds need them; nothing else of this process's environment.
const BUILDS = /^((PIP|UV)_.+|SSL_CERT_FILE|(https?|all|no)_proxy)$/i;

/** Workers are containers of an engine of the test's own, which is killed and frozen like everything else. */
export function workersInContainers(engine: PrivateEngine): OpenPlace {
  return async (directory) => {
    const certificates = join(directory, "certificates");
    await makeCertificates(certificates);
    const temporary = join(directory, "tmp");
    await mkdir(temporary);
    const kept = await keepService("engine", engine.start, RESTART_ENGINE_AFTER_MS);
    const buildEnvironment = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => BUILDS.test(name)),
    ) as Record<string, string>;
    /** By what watches over each, so that they are seen while the engine is away. */
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
          // A pool-manager that is started meanwhile does not take over what does not run.
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
      // Between what watches over a container and its worker stands an init.
      supervisors: async () => (await Promise.all((await shims()).map(grandchildren))).flat(),
      async strike(deed, target, random) {
        if (target !== "container") return undefined;
        const abortSignal = AbortSignal.timeout(STRIKE_TIMEOUT_MS);
        try {
          const running = await engine.docker.listContainers({ abortSignal });
          const { Id } = random.pick(running);
          const container = engine.docker.getContainer(Id);
          if (deed === "kill") {
            await container.kill({ abortSignal });
            return { thawed: Promise.resolve() };
          }
          await container.pause({ abortSignal });
          return { thawed: unpauseLater(container) };
        } catch {
          return undefined;
        }
      },
      async census() {
        const all = await containers();
        const { Volumes } = await engine.docker.listVolumes();
        return {
          containers: all.length,
          running: all.filter(({ State }) => State === "running").length,
          // An engine that dies while it starts a container leaves what would have watched over it, and nothing in there.
          alive: (await Promise.all((await shims()).map(childrenOf))).flat().length,
          networks: (await engine.docker.listNetworks({ filters: { type: ["custom"] } })).length,
          volumes: Volumes?.length ?? 0,
          files: (await readdir(temporary)).length,
        };
      },
      expected(workers) {
        const all = Object.values(workers).reduce((sum, each) => sum + each, 0);
        const projects = Object.keys(workers).length;
        // The pool-manager announces itself by one volume.
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
  // The engine may be away in this moment.
  for (const until = Date.now() + UNPAUSE_TIMEOUT_MS; Date.now() < until; ) {
    try {
      return await container.unpause({ abortSignal: AbortSignal.timeout(STRIKE_TIMEOUT_MS) });
    } catch (error) {
      // It has gone meanwhile.
      if ((error as { statusCode?: number }).statusCode !== undefined) return;
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
