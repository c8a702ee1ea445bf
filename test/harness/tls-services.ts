import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pino } from "pino";
import type { ServiceIdentity } from "#common/identity/identity.ts";
import { readEnvironment } from "#common/service/environment.ts";
import { renewCertificates } from "../../cli/certificates/certs-directory.ts";
import { compose, readSettings, type ServiceName, START_ORDER } from "../../services/composition.ts";
import { freePort } from "../support/free-port.ts";
import { openTestAuthority, type TestAuthority } from "./passes.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const PYTHON = process.env.AIRLOCK_PYTHON ?? join(ROOT, ".venv", "bin", "python");
const LISTEN = "localhost:0";
/** The id of the worker, which callers send. */
export const WORKER_ID = "w";

export type TlsServices = {
  readonly directory: string;
  /** The directory of all certificates, laid out as `./airlock certs` does. */
  readonly certificates: string;
  readonly addresses: Readonly<Record<Exclude<ServiceIdentity, "gateway">, string>>;
  /** A pass for any principal, as an authority with the same store signs it. */
  readonly passFor: TestAuthority["passFor"];
  stopService(name: ServiceName): Promise<void>;
  startService(name: ServiceName): Promise<void>;
  stop(): Promise<void>;
};

export type TlsServicesOptions = {
  /** Environment variables of the services. */
  readonly env?: Readonly<Record<string, string>>;
  /** The text of grants.yaml in the directory, the authority's file of grants; undefined: it has none. */
  readonly grants?: string;
  /** The clients that get a certificate; `billing` unless given. */
  readonly clients?: readonly string[];
};

/** Makes new certificates for all services and for these clients. */
export async function makeCertificates(
  directory: string,
  clients: readonly string[] = ["billing"],
): Promise<void> {
  await renewCertificates(directory, {
    clients,
    days: 1,
    newAuthority: false,
    dropOldAuthorities: false,
    now: new Date(),
  });
}

/** Starts all services with mutual TLS on TCP ports of this machine, as with compose, and one worker. */
export async function startTlsServices(options: TlsServicesOptions = {}): Promise<TlsServices> {
  const directory = await mkdtemp(join(tmpdir(), "airlock-tls-"));
  const certificates = join(directory, "certificates");
  const projects = join(directory, "projects");
  await makeCertificates(certificates, options.clients);
  await mkdir(projects);
  await writeFile(join(projects, "demo.yaml"), "name: demo\nsecrets: {TOKEN: plain-token-of-a-test}\n");
  const log = pino({ level: "silent" });
  const authority = await openTestAuthority(directory);
  await authority.close();
  const names = START_ORDER.filter((name) => name !== "gateway");
  const ports = new Map<string, number>();
  for (const name of names) ports.set(name, await freePort());
  const site = {
    projectsDirectory: projects,
    dataDirectory: directory,
    runDirectory: join(directory, "run"),
    address: (service: string) => `localhost:${ports.get(service)}`,
    tlsDirectoryOf: (service: string) => join(certificates, service),
  };
  const grants = join(directory, "grants.yaml");
  if (options.grants !== undefined) await writeFile(grants, options.grants);
  const read = readEnvironment({
    AIRLOCK_PYTHON: PYTHON,
    ...(options.grants !== undefined && { AIRLOCK_GRANTS_FILE: grants }),
    ...options.env,
  });
  const settings = readSettings(read, { dataDirectory: directory, isMock: false });
  read.check();
  const composition = compose(site, settings, () => log);
  for (const name of names) await composition.start(name);
  const worker = await startWorkerOnNetwork(directory, join(certificates, "worker"));
  const addresses = Object.fromEntries(names.map((name) => [name, site.address(name)]));
  return {
    directory,
    certificates,
    addresses: { ...addresses, worker: worker.address } as TlsServices["addresses"],
    passFor: authority.passFor,
    stopService: (name) => composition.stop(name, 0),
    startService: async (name) => void (await composition.start(name)),
    async stop() {
      worker.process.kill("SIGKILL");
      await once(worker.process, "close");
      await composition.drain(0);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function startWorkerOnNetwork(
  directory: string,
  tlsDirectory: string,
): Promise<{ process: ChildProcess; address: string }> {
  const runDirectory = join(directory, "worker");
  await mkdir(runDirectory);
  const options = ["--run-dir", runDirectory, "--python", PYTHON];
  const child = spawn(
    PYTHON,
    [
      "-m",
      "airlock_worker",
      "--worker-id",
      WORKER_ID,
      "--listen",
      LISTEN,
      "--tls-dir",
      tlsDirectory,
      ...options,
    ],
    { cwd: join(ROOT, "worker"), stdio: ["pipe", "ignore", "pipe"] },
  );
  let said = "";
  for await (const line of createInterface({ input: child.stderr })) {
    said += `${line}\n`;
    const { msg, address } = JSON.parse(line.startsWith("{") ? line : "{}") as {
      msg?: string;
      address?: string;
    };
    if (msg !== "listening" || !address) continue;
    child.stderr.resume();
    return { process: child, address };
  }
  throw new Error(`the worker did not start:\n${said}`);
}
