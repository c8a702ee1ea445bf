import { readFileSync } from "node:fs";
import { Secret } from "../secret.ts";
import type { EnvironmentReader } from "../service/environment.ts";
import { systemReason } from "../system-reason.ts";
import { type PostgresAddress, readPostgresUrl } from "./postgres/url.ts";

export type PostgresConfig = {
  readonly kind: "postgres";
  readonly address: PostgresAddress;
  /**
   * The URL with its password, which `address` does not have: the text itself, or the file that holds it. The
   * file is read anew for every connection, so that a changed password takes effect.
   */
  readonly url: Secret | { readonly file: string };
  /**
   * The largest number of connections that run statements. The router has one more, which listens for
   * notices.
   */
  readonly maxConnections: number;
};

export type DatabaseConfig = { readonly kind: "sqlite"; readonly path: string } | PostgresConfig;

const NAMES = "AIRLOCK_DATABASE, AIRLOCK_DATABASE_URL and AIRLOCK_DATABASE_URL_FILE";

/**
 * Reads AIRLOCK_DATABASE* and refuses values that cannot be used. Reported problems never contain the URL,
 * because the URL contains the password.
 */
export function readDatabaseConfig(read: EnvironmentReader): DatabaseConfig {
  const path = read.optionalText("AIRLOCK_DATABASE");
  const url = read.optionalText("AIRLOCK_DATABASE_URL");
  const file = read.optionalText("AIRLOCK_DATABASE_URL_FILE");
  const maxConnections = read.integer("AIRLOCK_DATABASE_CONNECTIONS", 10, 1, 1_000);
  const none: DatabaseConfig = { kind: "sqlite", path: path ?? "" };
  if ([path, url, file].filter((value) => value !== undefined).length !== 1) {
    read.refuse(
      `one of ${NAMES} must be set: the path of a SQLite file, a postgres:// URL, or a file with one`,
    );
    return none;
  }
  if (path !== undefined) return none;
  const name = file === undefined ? "AIRLOCK_DATABASE_URL" : "AIRLOCK_DATABASE_URL_FILE";
  try {
    const text = url ?? readFileSync(file ?? "", "utf8").trim();
    const address = readPostgresUrl(text, (problem) => read.refuse(`${name} ${problem}`));
    if (!address) return none;
    const secret = file === undefined ? new Secret(name, text) : { file };
    return { kind: "postgres", address, url: secret, maxConnections };
  } catch (error) {
    read.refuse(`${name} cannot be read (${systemReason(error)})`);
    return none;
  }
}
