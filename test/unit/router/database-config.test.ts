import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterEach, describe, expect, it } from "vitest";
import { readRouterConfig } from "../../../services/router/config.ts";

const BASE = {
  AIRLOCK_LISTEN: "unix:/r",
  AIRLOCK_POOL_MANAGER_ADDRESS: "unix:/p",
  AIRLOCK_SANITIZER_ADDRESS: "unix:/s",
  AIRLOCK_EGRESS_ADDRESS: "unix:/e",
};
const read = (env: Record<string, string>) => readRouterConfig({ ...BASE, ...env }).database;
const readUrl = (url: string) => read({ AIRLOCK_DATABASE_URL: url });

function refusal(env: Record<string, string>): string {
  try {
    read(env);
    return "accepted";
  } catch (error) {
    return (error as Error).message;
  }
}

describe("the database of a router", () => {
  let directory: string | undefined;
  afterEach(async () => {
    if (directory) await rm(directory, { recursive: true });
    directory = undefined;
  });

  it("the database of a router is one SQLite file or one PostgreSQL database", () => {
    expect(read({ AIRLOCK_DATABASE: "/data/airlock.db" })).toEqual({
      kind: "sqlite",
      path: "/data/airlock.db",
    });
    const both = { AIRLOCK_DATABASE: "/data/airlock.db", AIRLOCK_DATABASE_URL: "postgres://u@localhost/d" };
    for (const env of [{}, both]) {
      expect(refusal(env)).toContain(
        "one of AIRLOCK_DATABASE, AIRLOCK_DATABASE_URL and AIRLOCK_DATABASE_URL_FILE",
      );
    }
  });

  it("the database of a router is read from a URL, which is printed nowhere", () => {
    const database = readUrl("postgres://air%40lock:p%2Fass%20word@localhost/runs");
    expect(database).toMatchObject({
      kind: "postgres",
      address: { host: "localhost", port: 5432, user: "air@lock", database: "runs", tls: undefined },
      maxConnections: 10,
    });
    expect(inspect(database, { depth: 5 }) + JSON.stringify(database)).not.toMatch(/ass.*word/);
  });

  it.each([
    ["postgresql://u@db.example:6432/d?sslmode=disable", { host: "db.example", port: 6432, tls: undefined }],
    ["postgres://u@%2Frun%2Fpostgresql/d", { host: "/run/postgresql", port: 5432 }],
    ["postgres://u@[::1]/d", { host: "::1" }],
    [
      "postgres://u@db.example/d?sslmode=verify-full&sslrootcert=/ca.pem&sslcert=/c.pem&sslkey=/k.pem",
      { tls: { caFile: "/ca.pem", certFile: "/c.pem", keyFile: "/k.pem" } },
    ],
  ])("the URL of a router's database may be %s", (url, address) => {
    expect(readUrl(url)).toMatchObject({ address });
  });

  it("the URL of a router's database is read from a file, as compose gives secrets", async () => {
    directory = await mkdtemp(join(tmpdir(), "airlock-config-"));
    const file = join(directory, "url");
    await writeFile(file, "postgres://u:file-word@localhost/d\n");
    const env = { AIRLOCK_DATABASE_URL_FILE: file, AIRLOCK_DATABASE_CONNECTIONS: "25" };
    expect(read(env)).toMatchObject({
      address: { user: "u", database: "d" },
      url: { file },
      maxConnections: 25,
    });
    await writeFile(file, "postgres://u:file-word@db.example/d");
    expect(refusal(env)).toContain("AIRLOCK_DATABASE_URL_FILE must contain sslmode=verify-full");
    await rm(file);
    expect(refusal(env)).toBe("AIRLOCK_DATABASE_URL_FILE cannot be read (no such file or directory)");
  });

  it.each([
    ["postgres://u:s3cret@db.example/d", "must contain sslmode=verify-full, or sslmode=disable"],
    ["postgres://u:s3cret@db.example/d?sslmode=require", "an sslmode other than verify-full and disable"],
    ["postgres://u:s3cret@db.example/d?sslmode=disable&sslrootcert=/ca", "they need sslmode=verify-full"],
    ["postgres://u:s3cret@db.example/d?sslmode=verify-full&sslkey=/k", "needs sslcert and sslkey together"],
    ["mysql://u:s3cret@db.example/d", "must be a URL such as postgres://"],
    ["postgres://u:s3cret#1@db.example/d", "percent-encode"],
    ["postgres://u:s3cret/1@db.example/d", "percent-encode"],
    ["postgres://u:s3cret%zz@localhost/d", "percent-encode"],
    ["postgres://u:12?s3cret@localhost/d", "has a parameter other than sslmode"],
    ["postgres://:s3cret@localhost/d", "must name a user"],
    ["postgres:///d?s3cret", "must name a host"],
    ["postgres://u:s3cret@localhost", "must name one database"],
    ["postgres://u:s3cret@localhost/d/e", "must name one database"],
    ["s3cret", "must be a URL"],
  ])("the URL of a router's database is refused as %s, and the refusal does not quote it", (url, problem) => {
    const message = refusal({ AIRLOCK_DATABASE_URL: url });
    expect(message).toContain(`AIRLOCK_DATABASE_URL `);
    expect(message).toContain(problem);
    expect(message).not.toContain("s3cret");
  });
});
