import { type DatabaseConfig, readDatabaseConfig } from "#common/database/config.ts";
import { type AuthMode, readStatedAuthMode } from "#common/identity/auth-mode.ts";
import { readRateLimits } from "#common/identity/rate-limits.ts";
import type { Role } from "#common/identity/roles.ts";
import { readEnvironment } from "#common/service/environment.ts";
import type { AdminKeyFile } from "./first-admin.ts";
import { readTokenSettings, type TokenSettings } from "./tokens/settings.ts";

export type AuthorityConfig = {
  readonly listen: string;
  readonly database: DatabaseConfig;
  /** Whether gateways demand a credential. With `off` no admin's key is made. */
  readonly auth: AuthMode;
  readonly adminKey: AdminKeyFile;
  readonly tokens: TokenSettings;
  /** The YAML file with grants of tokens and certificates; undefined: there is none. */
  readonly grantsFile?: string | undefined;
  /** The changes a minute of each role, above which only an admin may make a key. */
  readonly rateLimits: Readonly<Record<Role, number>>;
  /** The directory of the authority's TLS certificates; undefined when it listens on a Unix socket. */
  readonly tlsDirectory?: string | undefined;
};

/** Reads the authority's configuration. Throws a ConfigError that names every problem. */
export function readAuthorityConfig(env: Readonly<Record<string, string | undefined>>): AuthorityConfig {
  const read = readEnvironment(env);
  const config = {
    listen: read.text("AIRLOCK_LISTEN"),
    database: readDatabaseConfig(read),
    auth: readStatedAuthMode(read),
    adminKey: { given: read.optionalText("AIRLOCK_ADMIN_KEY_FILE") },
    tokens: readTokenSettings(read),
    grantsFile: read.optionalText("AIRLOCK_GRANTS_FILE"),
    rateLimits: readRateLimits(read),
    tlsDirectory: read.optionalText("AIRLOCK_TLS_DIR"),
  };
  if (config.auth === "required" && config.adminKey.given === undefined)
    read.refuse(
      "AIRLOCK_ADMIN_KEY_FILE must be set where AIRLOCK_AUTH is required; ./airlock init makes it.",
    );
  read.check();
  return Object.freeze(config);
}
