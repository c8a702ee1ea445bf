import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
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
