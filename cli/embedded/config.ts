import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { readEnvironment } from "#common/service/environment.ts";
import { readSettings, type Settings } from "../../services/composition.ts";
import { parseFlags, usageError } from "../flags.ts";

const ROOT = join(import.meta.dirname, "..", "..");
// Characters of the longest run directory. The path of a Unix socket has at most 107 characters, and a
// worker's socket adds the suffix below to the run directory. The suffix has a random part, because another
// user may have taken the plain name of the directory.
const LONGEST_RUN_DIRECTORY = 107 - "-random/00000000-0000-0000-0000-000000000000/worker.sock".length;

/** The configuration of `./airlock up`: from flags first, then from the environment, then defaults. */
export type EmbeddedConfig = {
  readonly projectsDirectory: string;
  readonly dataDirectory: string;
  /**
   * The directory for sockets and scratch directories. It is outside the data directory, so that socket paths
   * stay short.
   */
  readonly runDirectory: string;
  /** Milliseconds that runs may go on after the first Ctrl-C. */
  readonly graceMs: number;
  readonly logLevel: string;
  readonly mock: boolean;
  /** The configuration of each service, by its name. */
  readonly settings: Settings;
};

const OPTIONS = {
  port: { type: "string" },
  projects: { type: "string" },
  data: { type: "string" },
  driver: { type: "string" },
  grace: { type: "string" },
  mock: { type: "boolean", default: false },
} as const;

/** The environment variable that each flag of `./airlock up` overrides. */
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
  const config: EmbeddedConfig = {
    projectsDirectory: resolve(read.text("AIRLOCK_PROJECTS_DIR", join(ROOT, "projects"))),
    dataDirectory,
    runDirectory: runDirectoryOf(dataDirectory),
    graceMs: read.durationMs("AIRLOCK_GRACE", "10s", { most: "7d" }),
    logLevel: read.choice("AIRLOCK_LOG_LEVEL", ["debug", "info", "warn", "error"] as const, "info"),
    mock: flags.mock,
    settings: readSettings(read, { dataDirectory, isMock: flags.mock }),
  };
  read.check();
  return config;
}

function runDirectoryOf(dataDirectory: string): string {
  const id = createHash("sha256").update(dataDirectory).digest("hex").slice(0, 12);
  const directory = join(tmpdir(), `airlock-${process.getuid?.() ?? 0}-${id}`);
  if (directory.length <= LONGEST_RUN_DIRECTORY) return directory;
  return join("/tmp", `airlock-${process.getuid?.() ?? 0}-${id}`);
}
