import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import type { DatabaseConfig } from "#common/database/config.ts";
import { callUnary, connectTo } from "#common/grpc/client.ts";
import type { Clock } from "#common/resilience/clock.ts";
import { readEnvironment } from "#common/service/environment.ts";
import type { Log } from "#common/service/log.ts";
import type { Execution } from "#proto/execution.ts";
import { RouterServiceClient, SubmitRequest } from "#proto/router.ts";
import {
  compose,
  readSettings,
  type ServiceName,
  type Settings,
  START_ORDER,
} from "../../services/composition.ts";
import type { Resolve } from "../../services/egress/names/resolve.ts";
import { embeddedRouterConfig } from "../../services/router/embedded.ts";
import { startRouter } from "../../services/router/main.ts";
import type { VaultSettings } from "../../services/secrets/sources/vault-settings.ts";

const ROOT = join(import.meta.dirname, "..", "..");

/** The services behind the gateway, which a test calls over gRPC and may stop and start one by one. */
export type TestServices = {
  readonly router: RouterServiceClient;
  /**
   * Starts one more router on the same database, which must be PostgreSQL. `clock` is its machine's clock;
   * undefined means the real one.
   */
  addRouter(clock?: Clock): Promise<TestRouter>;
  readonly address: (service: string) => string;
  readonly directory: string;
  submit(request: Partial<SubmitRequest>): Promise<string>;
  get(executionId: string, waitMs?: number): Promise<Execution>;
  /** The first router's metrics, as Prometheus reads them. */
  routerMetrics(): Promise<string>;
  stop(service: "secrets" | "sanitizer" | "egress" | "pool-manager"): Promise<void>;
  start(service: "secrets" | "sanitizer" | "egress" | "pool-manager"): Promise<void>;
  close(): Promise<void>;
};

export type TestRouter = {
  readonly client: RouterServiceClient;
  /** The router's metrics, as Prometheus reads them. */
  metrics(): Promise<string>;
  /** Drains the router as a scale-down does. */
  stop(graceMs: number): Promise<void>;
};

export type TestServicesOptions = {
  /** The router's database; undefined means a SQLite file. */
  readonly database?: DatabaseConfig;
  /** Most executions of all projects that may be unfinished. */
  readonly maxUnfinished?: number;
  /** Most bytes that the executions of all projects may store. */
  readonly maxStoredBytes?: number;
  /** Most workers of all projects together. */
  readonly maxWorkers?: number;
  /** Milliseconds that ended executions are kept; undefined means a minute. */
  readonly retentionMs?: number;
  /** Resolves host names for the egress service; undefined means by DNS. */
  readonly resolve?: Resolve;
  /** The DNS servers of the egress service without `resolve`; undefined means this machine's. */
  readonly dnsServers?: readonly string[];
  /** PEM file of authorities that the egress service trusts besides the public ones. */
  readonly extraCaPath?: string;
  readonly log?: Log;
  readonly vault?: VaultSettings;
};

export async function startServices(
  projects: Readonly<Record<string, string>>,
  options: TestServicesOptions = {},
): Promise<TestServices> {
  const directory = await mkdtemp(join(tmpdir(), "airlock-"));
  const projectsDirectory = join(directory, "projects");
  await mkdir(projectsDirectory);
  for (const [name, text] of Object.entries(projects)) {
    await writeFile(join(projectsDirectory, `${name}.yaml`), `name: ${name}\n${text}`);
  }
  const log = options.log ?? pino({ level: "silent" });
  const address = (service: string) => `unix:${join(directory, `${service}.sock`)}`;
  const site = {
    projectsDirectory,
    dataDirectory: directory,
    runDirectory: join(directory, "run"),
    address,
    tlsDirectoryOf: () => undefined,
  };
  const settings: Settings = {
    ...readSettings(readEnvironment({}), { dataDirectory: directory, isMock: false }),
    secrets: { vault: options.vault, versionKeyPath: undefined },
    egress: {
      extraCaPath: options.extraCaPath,
      dnsServers: options.dnsServers ?? [],
      resolve: options.resolve,
    },
    "pool-manager": {
      driver: "process",
      docker: undefined,
      python: process.env.AIRLOCK_PYTHON ?? join(ROOT, ".venv", "bin", "python"),
      maxWorkers: options.maxWorkers ?? 32,
      needsNetworkNamespace: true,
    },
    router: {
      database: options.database ?? { kind: "sqlite", path: join(directory, "airlock.db") },
      maxUnfinished: options.maxUnfinished ?? 10_000,
      maxStoredBytes: options.maxStoredBytes ?? 10_000 * 1024 * 1024,
      retentionMs: options.retentionMs ?? 60_000,
    },
    gateway: { host: "127.0.0.1", port: 0 },
  };
  const composition = compose(site, settings, () => log);
  const start = async (name: ServiceName) => void (await composition.start(name));
  const stop = (name: ServiceName) => composition.stop(name, 0);
  for (const name of START_ORDER.filter((each) => each !== "router" && each !== "gateway")) await start(name);
  let started = 0;
  const routers = new Set<TestRouter>();
  const addRouter = async (clock?: Clock): Promise<TestRouter> => {
    const listen = address(started++ === 0 ? "router" : `router-${started}`);
    const itsSite = { ...site, address: (name: string) => (name === "router" ? listen : address(name)) };
    const service = await startRouter(embeddedRouterConfig(itsSite, settings.router), log, clock);
    const client = connectTo(RouterServiceClient, service.address);
    const added: TestRouter = {
      client,
      metrics: async () => (await service.registry?.metrics()) ?? "",
      async stop(graceMs) {
        routers.delete(added);
        client.close();
        await service.drain(graceMs);
      },
    };
    routers.add(added);
    return added;
  };
  const { client: router, metrics: routerMetrics } = await addRouter();
  const execution = (response: { execution?: Execution | undefined }): Execution => {
    if (!response.execution) throw new Error("no execution in the answer");
    return response.execution;
  };
  return {
    router,
    routerMetrics,
    addRouter,
    address,
    directory,
    start,
    stop,
    async submit(request) {
      const full = SubmitRequest.fromPartial({ project: "demo", ...request });
      return execution(await callUnary(router, router.submit, full, "router", { timeoutMs: 5_000 }))
        .executionId;
    },
    async get(executionId, waitMs = 0) {
      const limits = { timeoutMs: waitMs + 5_000 };
      return execution(
        await callUnary(router, router.getExecution, { executionId, waitMs, maxBytes: 0 }, "router", limits),
      );
    },
    async close() {
      for (const added of routers) await added.stop(0);
      await composition.drain(0);
      await rm(directory, { recursive: true, force: true });
    },
  };
}
