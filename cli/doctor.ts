import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { asAirlockError } from "../services/common/errors.ts";
import { createLog } from "../services/common/log.ts";
import { isUsable } from "../services/common/project-catalogue.ts";
import { parseProjectFile } from "../services/common/project-file.ts";
import { createProcessDriver } from "../services/pool-manager/drivers/process.ts";
import type { Provision } from "../services/pool-manager/provisioning.ts";
import { startWorker } from "../services/pool-manager/worker.ts";
import { usageError } from "./flags.ts";
import { table } from "./table.ts";
import { PYTHON, ROOT } from "./tools.ts";

const START_TIMEOUT_MS = 60_000;

/** `./airlock doctor`: what really protects a run on this machine, measured by a worker that is started for it. */
export async function doctor(args: readonly string[]): Promise<number> {
  if (args.length > 0) throw usageError("doctor", "doctor takes no arguments.");
  const directory = await mkdtemp(join(tmpdir(), "airlock-doctor-"));
  try {
    const { layers, facts } = await measure(directory);
    const missing = layers.filter((layer) => !layer.inForce);
    const rows = layers.map(({ name, inForce, detail }) => [name, inForce ? "in force" : "MISSING", detail]);
    process.stdout.write(table(["LAYER", "HERE", "WHY NOT"], rows));
    const found = facts.map(({ name, values }) => [name, values.join(", ") || "none"]);
    process.stdout.write(`\n${table(["A RUN FOUND", "HERE"], found)}`);
    process.stdout.write(
      missing.length === 0
        ? "\nEvery layer is in force: projects with isolation: strict start here.\n"
        : `\n${missing.length} of ${layers.length} layers are missing: projects with isolation: strict do not start here.\n`,
    );
    return missing.length === 0 ? 0 : 1;
  } catch (error) {
    process.stderr.write(`No worker could be started: ${asAirlockError(error).message}\n`);
    return 2;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function measure(directory: string) {
  const project = parseProjectFile("doctor.yaml", "name: doctor\n");
  if (!isUsable(project)) throw new Error(project.problem);
  const runDirectory = join(directory, "run");
  await mkdir(runDirectory, { mode: 0o700 });
  const driver = createProcessDriver({
    python: PYTHON,
    workerDirectory: join(ROOT, "worker"),
    descriptorsPath: join(ROOT, "proto", "airlock.binpb"),
    runDirectory,
    dataDirectory: directory,
    projectsDirectory: directory,
    log: createLog("doctor", "silent"),
  });
  const signal = AbortSignal.timeout(START_TIMEOUT_MS);
  await driver.prepare(project, () => {}, signal);
  const { limits } = project;
  const provision: Provision = {
    revision: "doctor",
    request: { project: project.name, secretsVersion: "", secrets: [], settings: {}, network: false, limits },
  };
  const worker = await startWorker(
    project,
    "doctor",
    () => driver.start(project, "doctor"),
    async () => provision,
    signal,
  );
  await worker.stop();
  return worker.posture;
}
