import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { Client } from "pg";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PostgresConfig } from "#common/database/config.ts";
import { readClientConfig } from "#common/database/postgres/client-config.ts";
import { systemClock } from "#common/resilience/clock.ts";
import { issue, makeAuthority } from "../../../cli/certificates/certificate-authority.ts";
import { openPostgresStore } from "../../../services/router/store/postgres/store.ts";
import { configOf, postgresMissing, startPostgres, type TestPostgres } from "../../harness/postgres.ts";

const missing = postgresMissing();
const log = pino({ level: "silent" });

describe.skipIf(missing)(`the connection to a real PostgreSQL${missing ? ` (${missing})` : ""}`, () => {
  let directory: string;
  let postgres: TestPostgres;
  let ca: string;
  let otherCa: string;
  const open = (config: PostgresConfig) => openPostgresStore(config, "router", systemClock, log);
  const openUrl = (parameters: string, host = "localhost") => {
    const login = `airlock:${encodeURIComponent(postgres.password)}`;
    return open(configOf(`postgres://${login}@${host}:${postgres.port}/postgres?${parameters}`));
  };

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "airlock-pg-tls-"));
    const now = new Date();
    const [{ authority }, other] = [await makeAuthority(now), await makeAuthority(now)];
    const validTo = new Date(now.getTime() + 86_400_000);
    const subject = { uri: "spiffe://airlock/database", hosts: ["localhost"], now, validTo };
    const { certificate, key } = await issue(authority, subject);
    ca = join(directory, "ca.pem");
    otherCa = join(directory, "other-ca.pem");
    await writeFile(ca, authority.pem);
    await writeFile(otherCa, other.authority.pem);
    postgres = await startPostgres({ tls: { certificate, key } });
  });
  afterAll(async () => {
    await postgres.remove();
    await rm(directory, { recursive: true });
  });

  it("the connection to PostgreSQL is encrypted to the server that the authority certifies", async () => {
    const store = await openUrl(`sslmode=verify-full&sslrootcert=${ca}`);
    const { sql } = await postgres.newDatabase();
    const connections = await sql(
      "SELECT ssl FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE application_name LIKE 'airlock-router%'",
    );
    expect(connections.length).toBeGreaterThanOrEqual(2);
    expect(connections.every(({ ssl }) => ssl === true)).toBe(true);
    await store.close();
  });

  it.each([undefined, "notes"])(
    "a database whose default isolation is another has no effect on the connection, with the schema %s",
    async (postgresSchema) => {
      const database = await postgres.newDatabase();
      const name = database.config.address.database;
      await database.sql(`ALTER DATABASE ${name} SET default_transaction_isolation = 'serializable'`);
      const tables = { service: "router", ...(postgresSchema !== undefined && { postgresSchema }) };
      const client = new Client(await readClientConfig(database.config, tables as never));
      await client.connect();
      const { rows } = await client.query(
        "SELECT current_setting('transaction_isolation') AS isolation, current_setting('search_path') AS path",
      );
      await client.end();
      expect(rows).toEqual([{ isolation: "read committed", path: postgresSchema ?? '"$user", public' }]);
    },
  );

  it.each([
    [
      "an authority that did not issue its certificate",
      () => `sslmode=verify-full&sslrootcert=${otherCa}`,
      "localhost",
    ],
    ["the public authorities", () => "sslmode=verify-full", "localhost"],
    ["another name than it is reached by", () => `sslmode=verify-full&sslrootcert=${ca}`, "127.0.0.1"],
  ])(
    "the connection to PostgreSQL is refused when the server is checked against %s",
    async (_what, parameters, host) => {
      const error = await openUrl(parameters(), host).catch((reason: unknown) => reason);
      expect(String(error)).toMatch(/cannot be used: .*(certificate|altnames)/i);
      expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(postgres.password);
    },
  );

  it("the connection to PostgreSQL reports a wrong password without the password", async () => {
    const { url } = await postgres.newDatabase();
    const wrong = url.replace(/:[^:@]*@/, ":wrong-word@");
    const error = await open(configOf(wrong)).catch((reason: unknown) => reason);
    expect(String(error)).toContain("cannot be used: PostgreSQL says 28P01: password authentication failed");
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain("wrong-word");
  });

  it("the connection to PostgreSQL takes a rotated password from its file without a restart", async () => {
    const database = await postgres.newDatabase();
    const file = join(directory, "url");
    const write = (password: string) =>
      writeFile(file, database.url.replace(/\/\/.*@/, `//rotated:${password}@`));
    const { name } = (await database.sql("SELECT current_database() AS name"))[0] as { name: string };
    await database.sql("CREATE ROLE rotated LOGIN PASSWORD 'first'");
    await database.sql(`ALTER DATABASE ${name} OWNER TO rotated`);
    await write("first");
    const store = await open({ ...configOf(database.url.replace("airlock:", "rotated:")), url: { file } });
    await database.sql("ALTER ROLE rotated PASSWORD 'second'");
    await database.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'rotated'");
    await expect.poll(() => store.ping().catch((error: { code: string }) => error.code)).toBe("unavailable");
    await write("second");
    await expect
      .poll(() =>
        store.ping().then(
          () => "up",
          () => "away",
        ),
      )
      .toBe("up");
    await store.close();
  });
});
