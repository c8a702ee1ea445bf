import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SERVICES, type ServiceName, START_ORDER, wiringOf } from "../../services/composition.ts";
import { freePort } from "../support/free-port.ts";
import { DEMANDING } from "./demanding.ts";
import { type ServiceProcess, startServiceProcess } from "./service-process.ts";
import { makeCertificates } from "./tls-services.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const STOP_TIMEOUT_MS = 60_000;

/** The connections from one service to another, as `from→to`. */
export type Edge = `${Part}→${Part}`;
type Part = ServiceName | "worker" | "postgres";

export type DeploymentOptions = {
  readonly projects: Readonly<Record<string, string>>;
  /** The URL of PostgreSQL; undefined means that the router uses a SQLite file. */
  readonly databaseUrl?: string | undefined;
  /** NODE_OPTIONS of every service. */
  readonly nodeOptions?: string;
  /** AIRLOCK_RETENTION of the router; undefined means its default. */
  readonly retention?: string;
  /** The text of the first admin's API key; undefined means that clients need no key. */
  readonly adminKey?: string;
  readonly gateways?: number;
  readonly routers?: number;
  /** The port that callers get in place of `port`, so that a proxy can stand between; undefined means no proxies. */
  readonly between?: (edge: Edge, port: number) => Promise<number>;
  /** The Python that runs the workers; undefined means the checkout's own. */
  readonly python?: string;
};

/** All services as separate processes on loopback with mutual TLS, as compose runs them in containers. */
export type Deployment = {
  readonly directory: string;
  /** The REST URL of each gateway. */
  readonly urls: readonly string[];
  /** The names of all processes, such as `gateway-1`, `router-1` and `secrets`. */
  readonly names: readonly string[];
  process(name: string): ServiceProcess;
  /** Stops a service with SIGTERM, waits for its end, and starts it again; resolves to the exit status. */
  restart(name: string): Promise<number | null>;
  /** Kills a service with SIGKILL; `restart` starts it again. */
  kill(name: string): Promise<void>;
  /** The output of all services, with that of restarted ones. */
  output(): string;
  remove(): Promise<void>;
};

export async function startDeployment(options: DeploymentOptions): Promise<Deployment> {
  const { gateways = 1, routers = 1, between = async (_edge, port) => port } = options;
  const directory = await mkdtemp(join(tmpdir(), "airlock-d-"));
  // Workers may run as another user, who has to enter the directory.
  await chmod(directory, 0o755);
  const certificates = join(directory, "certificates");
  const projects = join(directory, "projects");
  await makeCertificates(certificates);
  await mkdir(projects);
  for (const [name, text] of Object.entries(options.projects)) {
    await writeFile(join(projects, `${name}.yaml`), `name: ${name}\n${text}`);
  }
  const ports = new Map<string, number>();
  const portOf = async (name: string) => {
    const port = ports.get(name) ?? (await freePort());
    ports.set(name, port);
    return port;
  };
  const local = (port: number) => `127.0.0.1:${port}`;
  const to = async (edge: Edge, name: string) => local(await between(edge, await portOf(name)));
  const nodeOptions = options.nodeOptions ? { NODE_OPTIONS: options.nodeOptions } : {};
  const routerNames = Array.from({ length: routers }, (_, n) => `router-${n + 1}`);
  /** Environment variables of a service: its own address, and the address of each service that it calls. */
  const wired = async (name: string, service: ServiceName) => {
    const addresses = new Map<string, string>([[service, local(await portOf(name))]]);
    for (const needed of SERVICES[service].needs) {
      const names = needed === "router" ? routerNames : [needed];
      const edge = `${service}→${needed}` as Edge;
      const targets = await Promise.all(names.map((each) => to(edge, each)));
      addresses.set(needed, needed === "router" ? `ipv4:${targets.join(",")}` : String(targets[0]));
    }
    return {
      ...wiringOf(service, (each) => addresses.get(each) as string),
      AIRLOCK_TLS_DIR: join(certificates, service),
      ...nodeOptions,
    };
  };
  const files = { AIRLOCK_PROJECTS_DIR: projects, AIRLOCK_DATA_DIR: directory };
  /** The database of a service that keeps data; the other services do not read it. */
  const databaseOf = (file: string) =>
    options.databaseUrl
      ? { AIRLOCK_DATABASE_URL: options.databaseUrl }
      : { AIRLOCK_DATABASE: join(directory, file) };
  const adminKeyFile = join(directory, "admin-key");
  if (options.adminKey) await writeFile(adminKeyFile, options.adminKey, { mode: 0o600 });
  // No request of a test is one too many.
  const auth = options.adminKey && DEMANDING;
  const own: Partial<Record<ServiceName, Record<string, string>>> = {
    ...(auth && { authority: { ...auth, AIRLOCK_ADMIN_KEY_FILE: adminKeyFile } }),
    secrets: { AIRLOCK_VERSION_KEY_FILE: join(directory, "version-key") },
    "pool-manager": {
      AIRLOCK_RUN_DIR: join(directory, "run"),
      AIRLOCK_PYTHON: options.python ?? process.env.AIRLOCK_PYTHON ?? join(ROOT, ".venv", "bin", "python"),
    },
  };
  const environments = new Map<string, Record<string, string>>();
  for (const name of START_ORDER.filter((each) => each !== "router" && each !== "gateway"))
    environments.set(name, {
      ...(await wired(name, name)),
      ...files,
      ...databaseOf(`${name}.db`),
      ...own[name],
    });
  for (const name of routerNames) {
    environments.set(name, {
      ...(await wired(name, "router")),
      ...(options.retention && { AIRLOCK_RETENTION: options.retention }),
      ...databaseOf("airlock.db"),
    });
  }
  const urls: string[] = [];
  for (let n = 1; n <= gateways; n++) {
    const port = await portOf(`gateway-${n}`);
    urls.push(`http://${local(port)}`);
    environments.set(`gateway-${n}`, {
      ...(await wired(`gateway-${n}`, "gateway")),
      AIRLOCK_PORT: String(port),
      ...auth,
    });
  }
  const running = new Map<string, ServiceProcess>();
  let earlier = "";
  const start = async (name: string) => {
    running.set(name, await startServiceProcess(name.replace(/-\d+$/, ""), environments.get(name) ?? {}));
  };
  const found = (name: string) => {
    const service = running.get(name);
    if (!service) throw new Error(`no service ${name} runs`);
    return service;
  };
  const output = () => earlier + [...running.values()].map((service) => service.output()).join("");
  const remove = async () => {
    await Promise.all([...running.values()].map((service) => service.kill()));
    await rm(directory, { recursive: true, force: true, maxRetries: 10 });
  };
  try {
    for (const name of environments.keys()) await start(name);
  } catch (error) {
    await remove();
    throw error;
  }
  return {
    directory,
    urls,
    names: [...environments.keys()],
    process: found,
    output,
    kill: (name) => found(name).kill(),
    async restart(name) {
      const old = found(name);
      const status = await old.stop(STOP_TIMEOUT_MS);
      earlier += old.output();
      await start(name);
      return status;
    },
    remove,
  };
}
