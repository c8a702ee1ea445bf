import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { asAirlockError } from "#common/errors.ts";
import { openTlsIfAny } from "#common/identity/tls-identity.ts";
import { isUsable } from "#common/projects/catalogue.ts";
import { parseProjectFile } from "#common/projects/file.ts";
import { ConfigError, readEnvironment } from "#common/service/environment.ts";
import { createLog } from "#common/service/log.ts";
import { DRIVERS, readDockerConfig, tlsDirectoryIn } from "../../services/pool-manager/config.ts";
import { createDriver } from "../../services/pool-manager/drivers/create-driver.ts";
import type { Provision } from "../../services/pool-manager/worker/provisioning.ts";
import {
  isGvisor,
  missingLayers,
  startWorker,
  type Worker,
} from "../../services/pool-manager/worker/worker.ts";
import { keepCertificates } from "../embedded/certificates.ts";
import { parseFlags, usageError } from "../flags.ts";
import { table } from "../terminal/table.ts";
import { forOutput } from "../terminal/terminal.ts";
import { PYTHON } from "../tools.ts";

const START_TIMEOUT_MS = 600_000;
const OPTIONS = {
  driver: { type: "string" },
  runtime: { type: "string" },
  json: { type: "boolean", default: false },
} as const;

/** `./airlock doctor` starts a worker and shows which protections of a run it measured on this machine. */
export async function doctor(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseFlags("doctor", args, OPTIONS);
  if (positionals.length > 0) throw usageError("doctor", "doctor takes only flags.");
  if (values.runtime !== undefined && (values.driver ?? process.env.AIRLOCK_DRIVER) !== "docker")
    throw usageError("doctor", "--runtime needs --driver docker.");
  const directory = await mkdtemp(join(tmpdir(), "airlock-doctor-"));
  try {
    const { layers, facts } = await measure(directory, values.driver, values.runtime);
    const missing = layers.filter((layer) => !layer.inForce);
    if (values.json) {
      process.stdout.write(`${forOutput(JSON.stringify(asJson(layers, facts), null, 2))}\n`);
      return missing.length === 0 ? 0 : 1;
    }
    const rows = layers.map(({ name, inForce, detail }) => [name, inForce ? "in force" : "MISSING", detail]);
    process.stdout.write(table(["LAYER", "HERE", "WHY NOT"], rows));
    const found = facts.map(({ name, values }) => [name, values.join(", ") || "none"]);
    process.stdout.write(`\n${table(["A RUN FOUND", "HERE"], found)}`);
    process.stdout.write(
      missing.length === 0
        ? "\nEvery layer is in force: projects with isolation: strict start here.\n"
        : `\n${missing.length} of ${layers.length} layers are missing: projects with isolation: strict do not start here.\n`,
    );
    if (missing.length > 0 && isGvisor(layers) && missingLayers("gvisor", layers).length === 0)
      process.stdout.write("Projects with isolation: gvisor start here.\n");
    return missing.length === 0 ? 0 : 1;
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    process.stderr.write(`No worker could be started: ${asAirlockError(error).message}\n`);
    return 2;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The measured protections as JSON, in the form in which GET /projects/{name} shows them. */
function asJson(layers: Worker["posture"]["layers"], facts: Worker["posture"]["facts"]): object {
  return {
    isolation_layers: layers.map(({ name, inForce, detail }) => ({
      name,
      in_force: inForce,
      detail: detail || null,
    })),
    isolation_facts: Object.fromEntries(facts.map(({ name, values }) => [name, values])),
  };
}

async function measure(directory: string, driverName: string | undefined, runtime: string | undefined) {
  const project = parseProjectFile(
    "doctor.yaml",
    `name: doctor\n${runtime ? `runtime: "${runtime}"\n` : ""}`,
  );
  if (!isUsable(project)) throw new ConfigError([project.problem]);
  const log = createLog("doctor", "silent");
  const read = readEnvironment(
    {
      AIRLOCK_DEPLOYMENT: "doctor",
      ...process.env,
      ...(driverName !== undefined && { AIRLOCK_DRIVER: driverName }),
    },
    driverName === undefined ? {} : { AIRLOCK_DRIVER: "--driver" },
  );
  const name = read.choice("AIRLOCK_DRIVER", DRIVERS, "process");
  const tlsDirectory = tlsDirectoryIn(directory);
  const docker =
    name === "docker" ? readDockerConfig(read, directory, join(tlsDirectory, "worker")) : undefined;
  read.check();
  const runDirectory = join(directory, "run");
  await mkdir(runDirectory, { mode: 0o700 });
  const certificates = docker && (await keepCertificates(directory, log));
  const tls = await openTlsIfAny(certificates?.directoryOf("pool-manager"), "pool-manager", log);
  const driver = await createDriver(
    {
      ...{ driver: name, python: PYTHON, docker, runDirectory },
      dataDirectory: directory,
    },
    log,
  );
  try {
    const signal = AbortSignal.timeout(START_TIMEOUT_MS);
    await driver.prepare(project, () => {}, signal);
    const { limits } = project;
    const provision: Provision = {
      revision: "doctor",
      request: {
        project: project.name,
        secretsVersion: "",
        settings: {},
        network: false,
        limits,
      },
      secrets: [],
    };
    const workerId = `doctor-${process.pid}`;
    const launch = () => driver.start(project, workerId);
    const parts = { project, workerId, provide: async () => provision, log, tls };
    const worker = await startWorker(launch, parts, signal);
    await worker.stop();
    return worker.posture;
  } finally {
    await driver.close();
    certificates?.close();
    tls?.close();
  }
}
