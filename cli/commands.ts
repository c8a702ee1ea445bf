/** Runs a command and resolves to its exit status. Throws a ConfigError for wrong usage. */
type Run = (args: readonly string[]) => Promise<number>;

export type Command = {
  readonly name: string;
  readonly usage: string;
  readonly summary: string;
  readonly options?: readonly (readonly [string, string])[];
  /** Imports the command's module, so that no other command's code is loaded. */
  load(args: readonly string[]): Promise<Run>;
};

const namesProject = (args: readonly string[]) => args[0] !== undefined && !args[0].startsWith("-");

export const COMMANDS: readonly Command[] = [
  {
    name: "up",
    usage:
      "up [--port N] [--projects DIR] [--data DIR] [--driver D] [--grace TIME] [--mock]\nup NAME [--replicas N]",
    summary: "start Airlock here; or start the workers of one project",
    options: [
      ["--port N", "listen on 127.0.0.1:N (AIRLOCK_PORT, 8000)"],
      ["--projects DIR", "one YAML file per project (AIRLOCK_PROJECTS_DIR, ./projects)"],
      ["--data DIR", "executions and logs (AIRLOCK_DATA_DIR, ./.airlock)"],
      ["--driver D", "how workers run: process or docker (AIRLOCK_DRIVER, process)"],
      ["--grace TIME", "how long runs may go on after Ctrl-C, such as 60s (AIRLOCK_GRACE, 10s)"],
      ["--mock", "serve the same REST contract from memory, without Python (docs/mock.md)"],
      ["--replicas N", "with NAME: so many workers"],
      ["", "with NAME: waits until a worker is ready; exit status 1 and the reason when none can be"],
    ],
    load: async (args) =>
      namesProject(args)
        ? (await import("./commands/projects.ts")).upProject
        : (await import("./commands/up.ts")).up,
  },
  {
    name: "down",
    usage: "down NAME [--hold]",
    summary: "stop the workers of one project",
    options: [["--hold", "keep it down: executions are refused until ./airlock up NAME"]],
    load: async () => (await import("./commands/projects.ts")).downProject,
  },
  {
    name: "projects",
    usage: "projects [--json]",
    summary: "list the projects, their workers, and what is wrong with those that cannot be used",
    options: [["--json", "print the answer of GET /projects as the service sent it"]],
    load: async () => (await import("./commands/projects.ts")).listProjects,
  },
  {
    name: "lock",
    usage: "lock NAME [--projects DIR]",
    summary: "pin the packages of one project, with hashes, in NAME.lock beside its file",
    load: async () => (await import("./commands/lock.ts")).lock,
  },
  {
    name: "run",
    usage: "run FILE -p NAME [--timeout S] [--setting K=V]... [--memory FILE] [--save-memory FILE] [--json]",
    summary: "run a script and show its output as it comes",
    options: [
      ["FILE", "Python; - reads it from standard input"],
      ["-p, --project NAME", "the project whose secrets, settings and packages it gets"],
      ["--timeout S", "seconds it may run; time spent waiting for answers does not count"],
      ["--setting K=V", "a setting for this run; may be given several times"],
      ["--memory FILE", 'what memory.get finds: {"category": {"key": value}}'],
      ["--save-memory FILE", "write the memory with what the script changed; may be the same FILE"],
      ["--json", "print only the final execution, as the service sent it"],
      ["", "exit status: the script's own; 128 + N after signal N, 1 another error, 124 timeout,"],
      ["", "130 Ctrl-C (which cancels the execution, as SIGTERM and SIGHUP do), 2 wrong usage"],
    ],
    load: async () => (await import("./commands/run.ts")).run,
  },
  {
    name: "login",
    usage: "login < KEY_FILE",
    summary: "keep an API key for this Airlock, so that commands need no AIRLOCK_KEY",
    options: [
      ["", "reads the key from standard input, at a terminal without showing it; keeps it in"],
      ["", "~/.config/airlock/keys.json (XDG_CONFIG_HOME), for its owner only"],
    ],
    load: async () => (await import("./commands/login.ts")).login,
  },
  {
    name: "logout",
    usage: "logout",
    summary: "forget the API key that login kept for this Airlock",
    load: async () => (await import("./commands/login.ts")).logout,
  },
  {
    name: "whoami",
    usage: "whoami [--json]",
    summary: "show who your API key stands for, and what it may do",
    load: async () => (await import("./commands/keys.ts")).whoami,
  },
  {
    name: "keys",
    usage: "keys create NAME [OPTIONS]\nkeys list [--json]\nkeys revoke KEY_ID",
    summary: "make, list and revoke API keys",
    options: [
      ["--role R", "admin, operator, developer (which is the default) or observer"],
      ["--kind K", "agent (which is the default), human or service; only an admin makes the last two"],
      ["--project NAME", "only for this project; may be given several times"],
      ["--expires-in DAYSd", "how long it is valid, such as 30d (90d)"],
      ["--rate N", "how many requests a minute may change something (as many as the role allows)"],
      ["--principal ID", "one more key of an existing principal, such as key:bot"],
      ["--json", "print the service's answer"],
      ["", "the new key stands alone on standard output, and is shown only once"],
    ],
    load: async () => (await import("./commands/keys.ts")).keys,
  },
  {
    name: "init",
    usage: "init",
    summary: "make what docker-compose.yml needs here: certificates, a database password, .env",
    options: [["", "run it again before the certificates expire (30 days); the rest is left as it is"]],
    load: async () => (await import("./commands/init.ts")).init,
  },
  {
    name: "certs",
    usage: "certs DIR [--client NAME]... [--role R [--tenant T]] [--days N] [--new-ca | --drop-old-ca]",
    summary: "make or renew the certificates by which services on a network know each other",
    options: [
      ["DIR", "gets ca/ and a directory for each service: its AIRLOCK_TLS_DIR"],
      ["--client NAME", "one more, for an internal system that calls the router and the pool-manager"],
      [
        "--role R",
        "grant the clients a role, in the file of grants (AIRLOCK_GRANTS_FILE, or DIR/grants.yaml)",
      ],
      ["--tenant T", "the tenant in which the role counts (default)"],
      ["--days N", "how long they are valid (30); run it again before that"],
      ["--new-ca", "begin to trust a new authority; the next run after it issues by it"],
      ["--drop-old-ca", "trust the newest authority only, once every service has a certificate by it"],
    ],
    load: async () => (await import("./commands/certs.ts")).certs,
  },
  {
    name: "logs",
    usage: "logs [-f] [--tail N] [--since TIME] [--level LEVEL] [--json] [EXECUTION_ID | --project NAME]",
    summary: "show what the services logged",
    options: [
      ["EXECUTION_ID", "only what is about this execution"],
      ["--project NAME", "only what is about this project"],
      ["-f", "go on with what is logged from now on"],
      ["--tail N", "only the last N lines"],
      ["--since TIME", "only what is younger: 90s, 15m, 24h, 7d, or a time such as 2026-11-30T12:00:00Z"],
      ["--level LEVEL", "trace, debug, info, warn, error or fatal, and what is graver"],
      ["--stack", "with the stack of each error, for developers of Airlock"],
      ["--json", "the lines as the services wrote them"],
      ["--data DIR", "the data directory of the Airlock that wrote them (AIRLOCK_DATA_DIR, ./.airlock)"],
    ],
    load: async () => (await import("./commands/logs.ts")).logs,
  },
  {
    name: "doctor",
    usage: "doctor [--driver D] [--runtime NAME] [--json]",
    summary: "start a worker and show which protections are in force on this machine",
    options: [
      ["--driver D", "how workers run: process or docker (AIRLOCK_DRIVER, process)"],
      ["--runtime NAME", "with docker: the runtime of the container, such as runsc"],
      ["--json", "print what was measured as JSON"],
      ["", "exit status: 0 every layer is in force, 1 some are missing, 2 no worker starts"],
    ],
    load: async () => (await import("./commands/doctor.ts")).doctor,
  },
  {
    name: "check",
    usage: "check",
    summary: "types, lint, format, protos, generated code: all that is checked in seconds",
    load: async () => (await import("./commands/check.ts")).check,
  },
  {
    name: "test",
    usage: "test [FILTER...]",
    summary: "every test that this machine can run; filters are parts of paths under test/ or worker/",
    load: async () => (await import("./commands/test.ts")).test,
  },
  {
    name: "bench",
    usage: "bench [--quick] [--only ROW,...] [--json]\nbench --profile | --guard | --write-readme",
    summary: "measure Airlock beside a bare fork and what else one could use; bench/README.md",
    options: [
      ["--quick", "less of everything, in two minutes"],
      ["--only ROW,...", "only these rows of the table, such as latency,burst"],
      ["--json", "print all figures as JSON"],
      ["--profile", "where the time of one execution goes, step by step"],
      ["--guard", "compare ratios with bench/bounds.json; exit status 1 names what slipped"],
      ["--write-readme", "measure everything and write the table of bench/README.md anew"],
    ],
    load: async () => (await import("./commands/bench.ts")).bench,
  },
  {
    name: "generate",
    usage: "generate",
    summary: "write the code that is generated from proto/ anew",
    load: async () => (await import("./commands/generate.ts")).generate,
  },
];
