import { readEnvironment } from "#common/service/environment.ts";

export type SanitizerConfig = {
  /** The address that the service listens on: `unix:/path` or `host:port`. */
  readonly listen: string;
  /** The address of the secrets service: `unix:/path` or `host:port`. */
  readonly secretsAddress: string;
  /**
   * The directory of this service's certificates. Undefined only where all services are on one machine and
   * use Unix sockets.
   */
  readonly tlsDirectory?: string | undefined;
};

/**
 * Reads AIRLOCK_LISTEN, AIRLOCK_SECRETS_ADDRESS and, where it is set, AIRLOCK_TLS_DIR. Throws a ConfigError
 * that names all problems.
 */
export function readSanitizerConfig(env: Readonly<Record<string, string | undefined>>): SanitizerConfig {
  const read = readEnvironment(env);
  const config = {
    listen: read.text("AIRLOCK_LISTEN"),
    secretsAddress: read.text("AIRLOCK_SECRETS_ADDRESS"),
    tlsDirectory: read.optionalText("AIRLOCK_TLS_DIR"),
  };
  read.check();
  return Object.freeze(config);
}
