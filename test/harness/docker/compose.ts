import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { UNREACHED_RATES } from "../demanding.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");
const run = promisify(execFile);
const SOURCES = [
  ...[
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    ".dockerignore",
    "Dockerfile",
    "docker-compose.yml",
  ],
  ...["proto", "services", "gateway", "worker"],
];
// A name of this test run only, so that other deployments are left alone.
const DEPLOYMENT = `airlock-test-${process.pid}`;
const SUBNET = "10.213.98.0/24";

export type Deployment = {
  readonly name: string;
  /** The output of `./airlock init`. */
  readonly initSaid: string;
  /** Runs `docker compose` with these arguments; resolves to its standard output. */
  compose(...args: string[]): Promise<string>;
  /** The first admin's API key. */
  readonly adminKey: string;
  /** The URL of the first gateway. */
  url(): Promise<string>;
  /** The ids of all containers, also those of workers. */
  containers(): Promise<string[]>;
  remove(): Promise<void>;
};

/** Prepares the deployment of docs/operations.md in a new directory; the caller runs `up`. */
export async function prepareDeployment(
  projects: Readonly<Record<string, string>>,
  secrets: Readonly<Record<string, string>>,
): Promise<Deployment> {
  const directory = await mkdtemp(join(tmpdir(), "airlock-compose-"));
  for (const source of SOURCES) {
    const filter = (path: string) => !/node_modules|__pycache__|\/tests?(\/|$)/.test(path.slice(ROOT.length));
    await cp(join(ROOT, source), join(directory, source), { recursive: true, filter });
  }
  await mkdir(join(directory, "projects"));
  for (const [name, text] of Object.entries(projects)) {
    await writeFile(join(directory, "projects", `${name}.yaml`), `name: ${name}\n${text}`);
  }
  // Image builds use the host's network, because containers of the tests may reach no package index by themselves.
  const env = {
    ...process.env,
    AIRLOCK_DEPLOYMENT: DEPLOYMENT,
    AIRLOCK_CONTROL_SUBNET: SUBNET,
    AIRLOCK_PORTS: "127.0.0.1:18000-18019",
    AIRLOCK_BUILD_NETWORK: process.env.AIRLOCK_BUILD_NETWORK ?? "host",
    AIRLOCK_BUILD_CA: process.env.SSL_CERT_FILE ?? "/dev/null",
    ...UNREACHED_RATES,
  };
  const docker = async (...args: string[]) =>
    (await run("docker", args, { cwd: directory, env, maxBuffer: 64 * 1024 * 1024 })).stdout.trim();
  const made = await run(process.execPath, [join(ROOT, "cli", "main.ts"), "init"], { cwd: directory });
  for (const [name, value] of Object.entries(secrets)) {
    await writeFile(join(directory, "deployment", "secrets", name), value, { mode: 0o644 });
  }
  const compose = (...args: string[]) => docker("compose", ...args);
  return {
    name: DEPLOYMENT,
    initSaid: made.stdout,
    compose,
    adminKey: await readFile(join(directory, "deployment", "admin-key"), "utf8"),
    url: async () => `http://${(await compose("port", "gateway", "8000")).split("\n")[0]}`,
    containers: async () => {
      const labels = [`com.docker.compose.project=${DEPLOYMENT}`, `airlock.deployment=${DEPLOYMENT}`];
      const listed = await Promise.all(
        labels.map((label) => docker("ps", "--all", "--quiet", "--no-trunc", "--filter", `label=${label}`)),
      );
      return listed.flatMap((ids) => ids.split("\n")).filter((id) => id !== "");
    },
    async remove() {
      await compose("down", "--volumes", "--timeout", "20");
      await rm(directory, { recursive: true, force: true });
    },
  };
}
