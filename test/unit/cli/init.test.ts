import { execFile, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { lstat, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const MAIN = join(import.meta.dirname, "..", "..", "..", "cli", "main.ts");

const DOCKER_SOCKET = "/var/run/docker.sock";

it("./airlock init completes an init that was interrupted, and changes no file that is there already", {
  timeout: 60_000,
}, async (context) => {
  if (!existsSync(DOCKER_SOCKET)) context.skip(`./airlock init needs the Docker engine's ${DOCKER_SOCKET}`);
  const directory = await mkdtemp(join(tmpdir(), "airlock-init-"));
  const init = () => promisify(execFile)(process.execPath, [MAIN, "init"], { cwd: directory });
  const read = (name: string) => readFile(join(directory, "deployment", name), "utf8");
  try {
    await init();
    const [password, key] = [await read("database-password"), await read("version-key")];
    // The containers read both as one user.
    const owners = ["secrets", "grants", "grants/grants.yaml"].map((name) =>
      stat(join(directory, "deployment", name)),
    );
    expect(new Set((await Promise.all(owners)).map(({ uid }) => uid)).size).toBe(1);
    const url = `postgres://airlock:${password}@postgres:5432/airlock?sslmode=disable`;
    expect(await read("database-url")).toBe(url);
    await rm(join(directory, "deployment", "database-url"));
    // A full disk leaves an empty file.
    await writeFile(join(directory, ".env"), "");
    await init();
    expect(await read("database-url")).toBe(url);
    expect([await read("database-password"), await read("version-key")]).toEqual([password, key]);
    expect(await readFile(join(directory, ".env"), "utf8")).toContain("AIRLOCK_UID=");
    await writeFile(join(directory, "deployment", "database-url"), "postgres://mine@elsewhere/airlock");
    await init();
    expect(await read("database-url")).toBe("postgres://mine@elsewhere/airlock");
    const names = [...(await readdir(directory)), ...(await readdir(join(directory, "deployment")))];
    expect(names.filter((name) => name.endsWith(".new"))).toEqual([]);
  } finally {
    await rm(directory, { recursive: true });
  }
});

it("./airlock init adds what docker compose needs to an .env that the operator has begun", {
  timeout: 60_000,
}, async (context) => {
  if (!existsSync(DOCKER_SOCKET)) context.skip(`./airlock init needs the Docker engine's ${DOCKER_SOCKET}`);
  const directory = await mkdtemp(join(tmpdir(), "airlock-init-"));
  const [path, elsewhere] = [join(directory, ".env"), join(directory, "shared.env")];
  const init = () => promisify(execFile)(process.execPath, [MAIN, "init"], { cwd: directory });
  try {
    await writeFile(elsewhere, "AIRLOCK_PORTS=127.0.0.1:8000\nAIRLOCK_GID=77\nAIRLOCK_UID=\n# DOCKER_GID=5", {
      mode: 0o640,
    });
    await symlink(elsewhere, path);
    await init();
    const text = await readFile(path, "utf8");
    expect(text).toMatch(
      /^AIRLOCK_PORTS=127\.0\.0\.1:8000\nAIRLOCK_GID=77\nAIRLOCK_UID=\n# DOCKER_GID=5\n#.*\nAIRLOCK_UID=\d+\nDOCKER_GID=\d+\n$/,
    );
    expect((await lstat(path)).isSymbolicLink()).toBe(true);
    expect((await stat(path)).mode & 0o777).toBe(0o640);
    await init();
    expect(await readFile(path, "utf8")).toBe(text);
  } finally {
    await rm(directory, { recursive: true });
  }
});

it.each([
  [
    "init",
    [],
    "/proc/self/fdinfo",
    /The directory \/proc\/\d+\/fdinfo\/deployment\/secrets cannot be made: no such file/,
  ],
  ["certs", ["/proc/airlock/tls"], tmpdir(), /\/proc\/airlock\/tls\/ca cannot be made: /],
])(
  "./airlock %s refuses a place where no directory can be made, and ends",
  async (command, args, cwd, told) => {
    const { status, stderr } = spawnSync(process.execPath, [MAIN, command, ...args], {
      cwd,
      timeout: 20_000,
    });
    expect(stderr.toString()).toMatch(told);
    expect(stderr.toString()).not.toContain("    at ");
    expect(status).toBe(2);
  },
);
