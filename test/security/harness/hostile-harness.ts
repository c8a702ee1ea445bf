import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, vi } from "vitest";
import { WORKER_PORT } from "../../../services/pool-manager/drivers/docker/container.ts";
import { createTestCertificates, type EchoServer, startEchoServer } from "../../harness/echo-server.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";
import { type Listeners, listenersOf } from "../../support/listeners.ts";
import { type Outsiders, startOutsiders } from "../cases/outsiders.ts";
import { BROKERED, NEIGHBOURS, PLANTED, ROTATED } from "../cases/planted.ts";
import { growth, type Traces } from "./traces.ts";
import type { HostedAirlock, WorkerHost } from "./worker-host.ts";

/** A real Airlock as a process of its own, and the servers around it that hostile scripts attack. */
export type HostileHarness = Omit<HostedAirlock, "traces" | "addresses"> & {
  readonly rest: RestClient;
  /**
   * HTTP servers on this machine: without TLS, with TLS for a brokered secret's host, and with TLS for another host.
   */
  readonly plain: EchoServer;
  readonly secure: EchoServer;
  readonly other: EchoServer;
  /** The sockets and ports of Airlock on this machine, with those of its workers where they are processes. */
  readonly listeners: Listeners;
  /** Listeners that do not belong to Airlock: an abstract Unix socket, and a UDP port at `address` that echoes. */
  readonly outsiders: Outsiders;
  /** Settings for scripts that name all these targets. */
  readonly facts: Readonly<Record<string, string>>;
  /** All REST responses about the case's execution. */
  readonly said: string[];
  /** The traces that have grown since all was idle, by name: [then, now]; a script of `project` ended last. */
  grown(project: ProjectName): Promise<Record<string, [number, number]>>;
  /** The host names that the egress service looked up for the case. */
  asked(): Promise<string[]>;
  /** Forgets the responses, the requests at the servers and the names that were looked up. */
  forget(): Promise<void>;
  /** Writes a new value into the file of the secret TOKEN. */
  rotate(value: string): Promise<void>;
  close(): Promise<void>;
};

export type ProjectName = keyof ReturnType<typeof projectsOf>;

/** Starts Airlock on a worker host, with a project for each kind of case, and waits until all projects are idle. */
export async function startHostileHarness(workerHost: WorkerHost): Promise<HostileHarness> {
  const directory = await mkdtemp(join(tmpdir(), "airlock-e2e-"));
  const certificates = await createTestCertificates();
  const extraCa = join(directory, "authority.pem");
  const askedPath = join(directory, "asked");
  await writeFile(extraCa, certificates.authority);
  await writeFile(askedPath, "");
  const plain = await startEchoServer();
  const secure = await startEchoServer(await certificates.issue(["erp.example"]));
  const other = await startEchoServer(await certificates.issue(["other.example"]));
  const outsiders = await startOutsiders();
  const projects = projectsOf(workerHost.line, { plain, secure, other });
  const hosted = await workerHost.start({
    ...{ directory, projects },
    preload: join(import.meta.dirname, "..", "..", "harness", "example-names.ts"),
    env: {
      AIRLOCK_EGRESS_EXTRA_CA: extraCa,
      AIRLOCK_TEST_ASKED: askedPath,
      AIRLOCK_TEST_BROKERED: BROKERED,
      AIRLOCK_LOG_LEVEL: "debug",
      ...Object.fromEntries(Object.entries(PLANTED).map(([name, value]) => [`AIRLOCK_TEST_${name}`, value])),
    },
  });
  const { airlock } = hosted;
  const rest = restClient(airlock.url);
  const rotate = (value: string) => writeFile(join(airlock.projectsDirectory, "token"), value);
  await rotate(ROTATED.before);
  // The secret's file was written after the start, so that the project that names it is broken at first.
  await vi.waitFor(
    async () => expect(await (await fetch(`${airlock.url}/projects`)).text()).not.toContain("TOKEN"),
    { timeout: 15_000 },
  );
  const began = (Object.keys(projects) as ProjectName[]).filter((project) => project !== "strict");
  const endings = await Promise.all(began.map((project) => rest.run({ project, code: "pass" })));
  const bad = endings.filter(({ status }) => status !== "completed");
  if (bad.length > 0) {
    await airlock.remove();
    throw new Error(`a project does not run: ${JSON.stringify(bad)}`);
  }
  await Promise.all(began.map((project) => untilIdle(rest, project)));
  const said: string[] = [];
  const listeners = await listenersOf(airlock.pid);
  const traces = (project: string) =>
    hosted.traces(project, [join(directory, "home"), airlock.dataDirectory]);
  const atRest = new Map<ProjectName, Traces>();
  for (const project of began) atRest.set(project, await settled(() => traces(project)));
  return {
    ...hosted,
    ...{ rest, plain, secure, other, listeners, outsiders, rotate },
    grown: async (project) => growth(atRest.get(project) ?? {}, await traces(project)),
    facts: {
      DATA: airlock.dataDirectory,
      CHECKOUT: join(import.meta.dirname, "..", "..", ".."),
      GATEWAY_PORT: new URL(airlock.url).port,
      PLAIN_PORT: String(plain.port),
      SECURE_PORT: String(secure.port),
      OTHER_PORT: String(other.port),
      UDP_PORT: String(outsiders.udpPort),
      ADDRESS: outsiders.address,
      ADDRESSES: JSON.stringify([...(await hosted.addresses()), outsiders.address, "127.0.0.1", "::1"]),
      ABSTRACT_NAME: outsiders.abstractName,
      SOCKETS: JSON.stringify(listeners.sockets),
      PORTS: JSON.stringify([...listeners.ports, WORKER_PORT]),
    },
    said,
    asked: async () => (await readFile(askedPath, "utf8")).split("\n").filter(Boolean),
    async forget() {
      said.length = 0;
      for (const server of [plain, secure, other]) server.seen.length = 0;
      outsiders.forget();
      await writeFile(askedPath, "");
    },
    async close() {
      await airlock.remove();
      await Promise.all([plain, secure, other].map((server) => server.close()));
      outsiders.close();
    },
  };
}

/** The traces once they no longer change: spares are made after a run, and descriptors vary with open connections. */
async function settled(traces: () => Promise<Traces>): Promise<Traces> {
  let last = await traces();
  const isSettled = async () => {
    const now = await traces();
    const changed = Object.keys(now).filter((name) => now[name] !== last[name]);
    last = now;
    return changed.every((name) => name.startsWith("descriptors"));
  };
  await vi.waitUntil(isSettled, { timeout: 60_000, interval: 300 });
  return last;
}

export async function untilIdle(rest: RestClient, project: string): Promise<void> {
  const isIdle = async () => (await rest.project(project)).idle_workers === 1;
  await vi.waitUntil(isIdle, { timeout: 20_000, interval: 20 });
}

type Servers = Readonly<Record<"plain" | "secure" | "other", EchoServer>>;

function projectsOf(line: string, { plain, secure, other }: Servers) {
  const one = `${line}replicas: 1\n`;
  const limits = `${one}limits: {timeout: 30, memory_mb: 256, disk_mb: 16, pids: 32, max_result_mb: 1}\n`;
  const list = JSON.stringify([
    `*.sub.example:${plain.port}`,
    ...["echo", "erp", "rebind", "mixed", "metadata"].map((name) => `${name}.example:${plain.port}`),
    `other.example:${other.port}`,
  ]);
  const secrets = Object.keys(PLANTED).map((name) => `  ${name}: "\${env:AIRLOCK_TEST_${name}}"\n`);
  const network = `network_allowlist: ${list}\nallow_private: [127.0.0.1]\n`;
  const networkLimits = limits.replace("{", "{network_mb: 2, ");
  return {
    demo: limits,
    strict: "isolation: strict\n",
    listed: networkLimits + network,
    brokered: `${limits}${network.replace("[", `["wide.example:${plain.port}",`)}secrets:\n  ERP: {value: "\${env:AIRLOCK_TEST_BROKERED}", inject: {host: "erp.example:${secure.port}", header: Authorization, format: "Bearer {}"}}\n  WRONG: {value: another-brokered-value, inject: {host: "wrong.example:${other.port}", header: Authorization}}\n`,
    secrets: `${limits}secrets:\n${secrets.join("")}`,
    brief: `${one}limits: {max_output_mb: 0.001}\nsecrets:\n${secrets.join("")}`,
    neighbour: `${one}secrets: {NEIGHBOURS: "${NEIGHBOURS}"}\n`,
    rotating: `${one}secrets: {TOKEN: "\${file:token}"}\n`,
  };
}
