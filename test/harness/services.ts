import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { callUnary, connect } from "#common/grpc/client.ts";
import type { Log } from "#common/service/log.ts";
import type { RunningService } from "#common/service/run-service.ts";
import type { Execution } from "#proto/execution.ts";
import { RouterServiceClient, SubmitRequest } from "#proto/router.ts";
import { startEgress } from "../../services/egress/main.ts";
import type { Resolve } from "../../services/egress/names/resolve.ts";
import { startPoolManager } from "../../services/pool-manager/main.ts";
import { startRouter } from "../../services/router/main.ts";
import type { DatabaseConfig } from "../../services/router/store/config.ts";
import { startSanitizer } from "../../services/sanitizer/main.ts";
import { startSecrets } from "../../services/secrets/main.ts";
import type { VaultSettings } from "../../services/secrets/sources/vault-settings.ts";

const ROOT = join(import.meta.dirname, "..", "..");

/** The services behind the gateway, each of which a test may stop and start again, spoken to by gRPC. */
export type TestServices = {
  readonly router: RouterServiceClient;
  /** Starts one more router on the same database, which must be one that routers can share. */
  addRouter(): Promise<TestRouter>;
  readonly address: (service: string) => string;
  readonly directory: string;
  submit(request: Partial<SubmitRequest>): Promise<string>;
  get(executionId: string, waitMs?: number): Promise<Execution>;
  /** Of the first router. */
  routerMetrics(): Promise<string>;
  stop(service: "secrets" | "sanitizer" | "egress" | "pool-manager"): Promise<void>;
  start(service: "secrets" | "sanitizer" | "egress" | "pool-manager"): Promise<void>;
  close(): Promise<void>;
};

export type TestRouter = {
  readonly client: RouterServiceClient;
  /** Its metrics, as Prometheus reads them. */
  metrics(): Promise<string>;
  /** Stops it as a scale-down does. */
  stop(graceMs: number): Promise<void>;
};

export type TestServicesOptions = {
  /** Where executions are kept; a SQLite file unless told otherwise. */
  readonly database?: DatabaseConfig;
  /** How many executions of all projects may not have ended. */
  readonly maxUnfinished?: number;
  /** What the executions of all projects may store together. */
  readonly maxStoredBytes?: number;
  /** Workers of all projects together. */
  readonly maxWorkers?: number;
  /** How long ended executions are kept. */
  readonly retentionMs?: number;
  /** How the egress service resolves names. */
  readonly resolve?: Resolve;
  /** The DNS servers that it asks unless `resolve` is given; this machine's unless said. */
  readonly dnsServers?: readonly string[];
  /** PEM file of authorities that it trusts besides the public ones. */
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
  const starters = {
    secrets: () =>
      startSecrets({ listen: address("secrets"), projectsDir: projectsDirectory, vault: options.vault }, log),
    sanitizer: () =>
      startSanitizer({ listen: address("sanitizer"), secretsAddress: address("secrets") }, log),
    egress: () =>
      startEgress(
        {
          listen: address("egress"),
          secretsAddress: address("secrets"),
          projectsDirectory,
          dataDirectory: directory,
          extraCaPath: options.extraCaPath,
          dnsServers: options.dnsServers ?? [],
        },
        log,
        options.resolve,
      ),
    "pool-manager": () =>
      startPoolManager(
        {
          listen: address("pool-manager"),
          secretsAddress: address("secrets"),
          projectsDirectory,
          dataDirectory: directory,
          runDirectory: join(directory, "run"),
          driver: "process" as const,
          python: process.env.AIRLOCK_PYTHON ?? join(ROOT, ".venv", "bin", "python"),
          maxWorkers: options.maxWorkers ?? 32,
        },
        log,
      ),
  };
  const running = new Map<string, RunningService>();
  let started = 0;
  const start = async (service: keyof typeof starters) => {
    running.set(service, await starters[service]());
  };
  const stop = async (service: string) => {
    await running.get(service)?.drain(0);
    running.delete(service);
  };
  await start("secrets");
  await start("sanitizer");
  await start("egress");
  await start("pool-manager");
  const routers = new Set<TestRouter>();
  const addRouter = async (): Promise<TestRouter> => {
    const service = await startRouter(
      {
        listen: address(started++ === 0 ? "router" : `router-${started}`),
        poolManagerAddress: address("pool-manager"),
        sanitizerAddress: address("sanitizer"),
        egressAddress: address("egress"),
        database: options.database ?? { kind: "sqlite", path: join(directory, "airlock.db") },
        maxUnfinished: options.maxUnfinished ?? 10_000,
        maxStoredBytes: options.maxStoredBytes ?? 10_000 * 1024 * 1024,
        retentionMs: options.retentionMs ?? 60_000,
      },
      log,
    );
    const client = connect(RouterServiceClient, service.address);
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
      for (const service of ["pool-manager", "egress", "sanitizer", "secrets"]) await stop(service);
      await rm(directory, { recursive: true, force: true });
    },
  };
}
