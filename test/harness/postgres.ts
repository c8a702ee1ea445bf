import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, readdirSync } from "node:fs";
import { chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { Client, type QueryResultRow } from "pg";
import { type PostgresConfig, readDatabaseConfig } from "#common/database/config.ts";
import { readEnvironment } from "#common/service/environment.ts";
import { freePort } from "../support/free-port.ts";
import { treeOf } from "../support/process-tree.ts";

const DEBIAN = "/usr/lib/postgresql";
const START_TIMEOUT_MS = 30_000;
const PASSWORD = "pässword/of@a-test";
const FAST = ["-c", "fsync=off", "-c", "full_page_writes=off"];
// After a crash the server syncs its data; `syncfs` takes two seconds, the default file by file takes ten.
const DURABLE = process.platform === "linux" ? ["-c", "recovery_init_sync_method=syncfs"] : [];

/** The reason why this machine has no PostgreSQL; undefined when it has. */
export function postgresMissing(): string | undefined {
  if (binaries()) return undefined;
  return `no PostgreSQL server here: initdb is neither on PATH nor below ${DEBIAN}`;
}

/** A real PostgreSQL server of the test's own, on a Unix socket, with a password. */
export type TestPostgres = {
  /** The TCP port, with the options `tls` or `tcp`. */
  readonly port: number;
  readonly password: string;
  /** A fresh, empty database. */
  newDatabase(): Promise<TestDatabase>;
  /** Ends the server with SIGQUIT, as a crash would: it writes nothing any more. */
  crash(): Promise<void>;
  /** Kills all its processes with SIGKILL. */
  kill(): Promise<void>;
  /** Stops all its processes with SIGSTOP, as a hanging machine would: connections stay, and nothing answers. */
  freeze(): Promise<void>;
  /** Lets frozen processes go on. */
  resume(): Promise<void>;
  /** Starts the server again after `crash` or `kill`. */
  start(): Promise<void>;
  remove(): Promise<void>;
};

export type TestDatabase = {
  readonly url: string;
  readonly config: PostgresConfig;
  /** Runs one statement on a new connection; resolves to its rows. */
  sql<Row extends QueryResultRow>(text: string, values?: unknown[]): Promise<Row[]>;
};

export type TestPostgresOptions = {
  /**
   * Whether commits reach the disk, as in production. Without it a crash of the machine loses commits; one of the
   * server does not.
   */
  readonly durable?: boolean;
  /** Certificate and key in PEM form, with which the server listens on `localhost`, too. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  /** Whether the server listens on 127.0.0.1, too, without TLS. */
  readonly tcp?: boolean;
};

export async function startPostgres(options: TestPostgresOptions = {}): Promise<TestPostgres> {
  const bin = binaries();
  if (!bin) throw new Error(postgresMissing());
  const directory = await mkdtemp(join(tmpdir(), "airlock-pg-"));
  const user = ordinaryUser();
  if (user) await chown(directory, user.uid, user.gid);
  const data = join(directory, "data");
  const write = async (name: string, text: string) => {
    const path = join(directory, name);
    await writeFile(path, text, { mode: 0o600 });
    if (user) await chown(path, user.uid, user.gid);
    return path;
  };
  const passwordFile = await write("password", PASSWORD);
  execFileSync(
    join(bin, "initdb"),
    [
      "-D",
      data,
      "-U",
      "airlock",
      "-A",
      "scram-sha-256",
      "--pwfile",
      passwordFile,
      "-E",
      "UTF8",
      "--locale=C",
      "--no-sync",
    ],
    { ...user, cwd: directory, stdio: "pipe" },
  );
  const urlOf = (database: string) =>
    `postgres://airlock:${encodeURIComponent(PASSWORD)}@${encodeURIComponent(directory)}:${port}/${database}`;
  const port = options.tls || options.tcp ? await freePort() : 5432;
  const settings = options.durable ? [...DURABLE] : [...FAST];
  if (options.tls) {
    const certificate = await write("server.pem", options.tls.certificate);
    const key = await write("server-key.pem", options.tls.key);
    settings.push("-c", "ssl=on", "-c", `ssl_cert_file=${certificate}`, "-c", `ssl_key_file=${key}`);
    settings.push("-c", "listen_addresses=localhost");
  }
  if (options.tcp) settings.push("-c", "listen_addresses=127.0.0.1");
  let server: ChildProcess;
  let exited: Promise<unknown>;
  let databases = 0;
  const spawnServer = () => {
    server = spawn(
      join(bin, "postgres"),
      ["-D", data, "-k", directory, "-p", String(port), "-c", "listen_addresses=", ...settings],
      { ...user, cwd: directory, stdio: "ignore" },
    );
    exited = once(server, "exit");
  };
  const start = async () => {
    spawnServer();
    const deadline = Date.now() + START_TIMEOUT_MS;
    for (;;) {
      try {
        await query(urlOf("postgres"), "SELECT 1");
        return;
      } catch (error) {
        if (Date.now() > deadline) throw error;
        // PostgreSQL refuses to start while processes of a killed server are still ending.
        if (server.exitCode !== null) spawnServer();
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const end = async (signal: NodeJS.Signals) => {
    if (server.exitCode === null) server.kill(signal);
    await exited;
  };
  const signalAll = async (signal: NodeJS.Signals) => {
    for (const pid of await treeOf(server.pid ?? 0)) process.kill(pid, signal);
  };
  await start();
  return {
    port,
    password: PASSWORD,
    start,
    crash: () => end("SIGQUIT"),
    async kill() {
      await signalAll("SIGKILL");
      await exited;
    },
    freeze: () => signalAll("SIGSTOP"),
    resume: () => signalAll("SIGCONT"),
    async newDatabase() {
      databases += 1;
      const name = `airlock_${databases}`;
      await query(urlOf("postgres"), `CREATE DATABASE ${name}`);
      const url = urlOf(name);
      return { url, config: configOf(url), sql: (text, values) => query(url, text, values) };
    },
    async remove() {
      await end("SIGINT");
      await rm(directory, { recursive: true });
    },
  };
}

/** The configuration that a router reads from this URL. */
export function configOf(url: string): PostgresConfig {
  const read = readEnvironment({ AIRLOCK_DATABASE_URL: url });
  const config = readDatabaseConfig(read);
  read.check();
  if (config.kind !== "postgres") throw new Error("not a PostgreSQL URL");
  return config;
}

async function query<Row extends QueryResultRow>(
  url: string,
  text: string,
  values?: unknown[],
): Promise<Row[]> {
  const { host, port, user, database } = configOf(url).address;
  const client = new Client({ host, port, user, database, password: PASSWORD });
  client.on("error", () => undefined);
  try {
    await client.connect();
    return (await client.query<Row>(text, values)).rows;
  } finally {
    await client.end();
  }
}

function binaries(): string | undefined {
  const onPath = (process.env.PATH ?? "").split(delimiter);
  const debian = versionsOf(DEBIAN).map((version) => join(DEBIAN, version, "bin"));
  return [...debian, ...onPath].find((directory) => directory && isExecutable(join(directory, "initdb")));
}

function versionsOf(directory: string): string[] {
  try {
    return readdirSync(directory).sort((a, b) => Number(b) - Number(a));
  } catch {
    return [];
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * A user for the server, because PostgreSQL refuses to run as root and needs a user with a name. Undefined unless
 * root.
 */
function ordinaryUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ["postgres", "nobody"]) {
    try {
      const id = (flag: string) =>
        Number(execFileSync("id", [flag, name], { encoding: "utf8", stdio: "pipe" }));
      return { uid: id("-u"), gid: id("-g") };
    } catch {
      // This machine has no such user; the next name is tried.
    }
  }
  throw new Error("PostgreSQL does not run as root, and there is neither a user postgres nor nobody");
}
