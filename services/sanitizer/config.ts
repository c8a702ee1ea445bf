import { readEnvironment } from "#common/service/environment.ts";

export type SanitizerConfig = {
  /** The address that the service listens on: `unix:/path` or `host:port`. */
  readonly listen: string;
  readonly secretsAddress: string;
  /** The directory of this service's certificates; needed when the service listens on a network. */
  readonly tlsDirectory?: string | undefined;
};

/** Reads AIRLOCK_LISTEN and AIRLOCK_SECRETS_ADDRESS; throws a ConfigError that names all problems. */
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
