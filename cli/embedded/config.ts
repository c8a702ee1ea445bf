import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { readEnvironment } from "#common/service/environment.ts";
import { readHostNames } from "../../gateway/rest/web-pages.ts";
import { readDnsServers } from "../../services/egress/names/dns-servers.ts";
import {
  type DockerConfig,
  DRIVERS,
  readDockerConfig,
  readMaxWorkers,
} from "../../services/pool-manager/config.ts";
import { readMaxStoredBytes, readMaxUnfinished, readRetentionMs } from "../../services/router/config.ts";
import { readVaultSettings, type VaultSettings } from "../../services/secrets/sources/vault-settings.ts";
import { parseFlags, usageError } from "../flags.ts";

const ROOT = join(import.meta.dirname, "..", "..");
// A Unix socket path has at most 107 characters; a worker's is this much longer than the run directory, whose name gets a
// random end where another user has taken it.
const LONGEST_RUN_DIRECTORY = 107 - "-random/00000000-0000-0000-0000-000000000000/worker.sock".length;

/** What `./airlock up` starts with: flags first, then the environment, then the defaults. */
export type EmbeddedConfig = {
  readonly host: string;
  readonly port: number;
  /** What it may be called besides localhost and its addresses. */
  readonly hostNames: readonly string[];
  readonly projectsDirectory: string;
  readonly dataDirectory: string;
  /** Sockets and scratch directories of this data directory; outside it, so that paths stay short. */
  readonly runDirectory: string;
  readonly driver: (typeof DRIVERS)[number];
  /** Needed by the docker driver. */
  readonly docker: DockerConfig | undefined;
  readonly python: string;
  readonly maxUnfinished: number;
  readonly maxStoredBytes: number;
  readonly maxWorkers: number;
  readonly retentionMs: number;
  /** How long runs may go on after the first Ctrl-C. */
  readonly graceMs: number;
  /** PEM file of authorities that servers may be certified by, besides the public ones. */
  readonly egressExtraCaPath: string | undefined;
  /** For names that scripts ask for; empty: the servers of this machine. */
  readonly dnsServers: readonly string[];
  readonly logLevel: string;
  readonly vault: VaultSettings | undefined;
  readonly mock: boolean;
};

const OPTIONS = {
  port: { type: "string" },
  projects: { type: "string" },
  data: { type: "string" },
  driver: { type: "string" },
  grace: { type: "string" },
  mock: { type: "boolean", default: false },
} as const;

/** The environment variable that a flag stands for. */
const VARIABLES = {
  port: "AIRLOCK_PORT",
  projects: "AIRLOCK_PROJECTS_DIR",
  data: "AIRLOCK_DATA_DIR",
  driver: "AIRLOCK_DRIVER",
  grace: "AIRLOCK_GRACE",
} as const;

/** Reads flags and environment; throws a ConfigError that names every problem. */
export function readEmbeddedConfig(args: readonly string[], env: NodeJS.ProcessEnv): EmbeddedConfig {
  const { values: flags, positionals } = parseFlags("up", args, OPTIONS);
  if (positionals.length > 0) throw usageError("up", "up takes only flags, or the name of a project first.");
  const given = Object.entries(VARIABLES).flatMap(([flag, variable]) => {
    const value = flags[flag as keyof typeof VARIABLES];
    return value === undefined ? [] : [{ flag, variable, value }];
  });
  const read = readEnvironment(
    { ...env, ...Object.fromEntries(given.map(({ variable, value }) => [variable, value])) },
    Object.fromEntries(given.map(({ flag, variable }) => [variable, `--${flag}`])),
  );
  const dataDirectory = resolve(read.text("AIRLOCK_DATA_DIR", join(ROOT, ".airlock")));
  const driver = read.choice("AIRLOCK_DRIVER", DRIVERS, "process");
  const config: EmbeddedConfig = {
    host: read.text("AIRLOCK_HOST", "127.0.0.1"),
    port: read.integer("AIRLOCK_PORT", 8_000, 0, 65_535),
    hostNames: readHostNames(read),
    projectsDirectory: resolve(read.text("AIRLOCK_PROJECTS_DIR", join(ROOT, "projects"))),
    dataDirectory,
    runDirectory: runDirectoryOf(dataDirectory),
    driver,
    docker:
      driver === "docker"
        ? readDockerConfig(read, dataDirectory, join(tlsDirectoryOf(dataDirectory), "worker"))
        : undefined,
    python:
      flags.mock || driver === "docker"
        ? ""
        : read.text("AIRLOCK_PYTHON", join(ROOT, ".venv", "bin", "python")),
    maxUnfinished: readMaxUnfinished(read),
    maxStoredBytes: readMaxStoredBytes(read),
    maxWorkers: readMaxWorkers(read),
    retentionMs: readRetentionMs(read),
    graceMs: read.durationMs("AIRLOCK_GRACE", "10s", { most: "7d" }),
    egressExtraCaPath: env.AIRLOCK_EGRESS_EXTRA_CA ? resolve(env.AIRLOCK_EGRESS_EXTRA_CA) : undefined,
    dnsServers: readDnsServers(read),
    logLevel: read.choice("AIRLOCK_LOG_LEVEL", ["debug", "info", "warn", "error"] as const, "info"),
    vault: readVaultSettings(read),
    mock: flags.mock,
  };
  read.check();
  return config;
}

/** Where the certificates of the connections to containers lie. */
export function tlsDirectoryOf(dataDirectory: string): string {
  return join(dataDirectory, "tls");
}

function runDirectoryOf(dataDirectory: string): string {
  const id = createHash("sha256").update(dataDirectory).digest("hex").slice(0, 12);
  const directory = join(tmpdir(), `airlock-${process.getuid?.() ?? 0}-${id}`);
  if (directory.length <= LONGEST_RUN_DIRECTORY) return directory;
  return join("/tmp", `airlock-${process.getuid?.() ?? 0}-${id}`);
}
