import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pino } from "pino";
import type { ServiceIdentity } from "#common/identity/identity.ts";
import type { RunningService } from "#common/service/run-service.ts";
import { renewCertificates } from "../../cli/certificates/certs-directory.ts";
import { startEgress } from "../../services/egress/main.ts";
import { startPoolManager } from "../../services/pool-manager/main.ts";
import { startRouter } from "../../services/router/main.ts";
import { startSanitizer } from "../../services/sanitizer/main.ts";
import { startSecrets } from "../../services/secrets/main.ts";

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
  stop(): Promise<void>;
};

/** Makes new certificates for all services and for the client `billing`. */
export async function makeCertificates(directory: string): Promise<void> {
  await renewCertificates(directory, {
    clients: ["billing"],
    days: 1,
    newAuthority: false,
    dropOldAuthorities: false,
    now: new Date(),
  });
}

/** Starts all services with mutual TLS on TCP ports of this machine, as with compose, and one worker. */
export async function startTlsServices(): Promise<TlsServices> {
  const directory = await mkdtemp(join(tmpdir(), "airlock-tls-"));
  const certificates = join(directory, "certificates");
  const projects = join(directory, "projects");
  await makeCertificates(certificates);
  await mkdir(projects);
  await writeFile(join(projects, "demo.yaml"), "name: demo\nsecrets: {TOKEN: plain-token-of-a-test}\n");
  const log = pino({ level: "silent" });
  const own = (service: ServiceIdentity) => ({ listen: LISTEN, tlsDirectory: join(certificates, service) });
  const secrets = await startSecrets({ ...own("secrets"), projectsDir: projects }, log);
  const sanitizer = await startSanitizer({ ...own("sanitizer"), secretsAddress: secrets.address }, log);
  const poolManager = await startPoolManager(
    {
      ...own("pool-manager"),
      secretsAddress: secrets.address,
      projectsDirectory: projects,
      dataDirectory: directory,
      runDirectory: join(directory, "run"),
      driver: "process",
      python: PYTHON,
      maxWorkers: 32,
    },
    log,
  );
  const egress = await startEgress(
    {
      ...own("egress"),
      secretsAddress: secrets.address,
      projectsDirectory: projects,
      dataDirectory: directory,
      extraCaPath: undefined,
    },
    log,
  );
  const router = await startRouter(
    {
      ...own("router"),
      poolManagerAddress: poolManager.address,
      sanitizerAddress: sanitizer.address,
      egressAddress: egress.address,
      database: { kind: "sqlite", path: join(directory, "airlock.db") },
      maxUnfinished: 10_000,
      maxStoredBytes: 10_000 * 1024 * 1024,
      retentionMs: 60_000,
    },
    log,
  );
  const worker = await startWorkerOnNetwork(directory, join(certificates, "worker"));
  const running: Pick<RunningService, "drain">[] = [router, poolManager, sanitizer, secrets, egress];
  return {
    directory,
    certificates,
    addresses: {
      router: router.address,
      "pool-manager": poolManager.address,
      sanitizer: sanitizer.address,
      secrets: secrets.address,
      egress: egress.address,
      worker: worker.address,
    },
    async stop() {
      worker.process.kill("SIGKILL");
      await once(worker.process, "close");
      for (const service of running) await service.drain(0);
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
