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
import type { Place, PlacedAirlock } from "./worker-host.ts";

/** The real service, as a process of its own, and what there is around it for scripts to attack. */
export type HostileStage = Omit<PlacedAirlock, "traces" | "addresses"> & {
  readonly rest: RestClient;
  /** Servers on this machine: plain, with a brokered secret's name, and with another name. */
  readonly plain: EchoServer;
  readonly secure: EchoServer;
  readonly other: EchoServer;
  /** Where the service listens on this machine, its workers included where they are processes of it. */
  readonly listeners: Listeners;
  /** Of this machine, and no service's: an abstract Unix socket, and a UDP port that echoes, at `address`. */
  readonly outsiders: Outsiders;
  /** What scripts are told of all that, as settings. */
  readonly facts: Readonly<Record<string, string>>;
  /** All that was said over REST about the case's execution. */
  readonly said: string[];
  /** What there is more of than when all was at rest, by name: [then, now]; a script of `project` ended last. */
  grown(project: ProjectName): Promise<Record<string, [number, number]>>;
  /** The names that the case had looked up. */
  asked(): Promise<string[]>;
  /** Forgets what was said, what the servers saw and which names were looked up. */
  forget(): Promise<void>;
  rotate(value: string): Promise<void>;
  close(): Promise<void>;
};

export type ProjectName = keyof ReturnType<typeof projectsOf>;

export async function startHostileStage(place: Place): Promise<HostileStage> {
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
  const projects = projectsOf(place.line, { plain, secure, other });
  const placed = await place.start({
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
  const { airlock } = placed;
  const rest = restClient(airlock.url);
  const rotate = (value: string) => writeFile(join(airlock.projectsDirectory, "token"), value);
  await rotate(ROTATED.before);
  // The file of the secret came after the project that names it.
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
    placed.traces(project, [join(directory, "home"), airlock.dataDirectory]);
  const atRest = new Map<ProjectName, Traces>();
  for (const project of began) atRest.set(project, await settled(() => traces(project)));
  return {
    ...placed,
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
      ADDRESSES: JSON.stringify([...(await placed.addresses()), outsiders.address, "127.0.0.1", "::1"]),
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

/** Spares are made while nothing else goes on; descriptors come and go with the connections of the moment. */
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
