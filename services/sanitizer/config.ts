import { readEnvironment } from "../common/environment.ts";

export type SanitizerConfig = {
  /** `unix:/path` or `host:port`. */
  readonly listen: string;
  readonly secretsAddress: string;
};

/** Reads AIRLOCK_LISTEN and AIRLOCK_SECRETS_ADDRESS; throws a ConfigError that names all problems. */
export function readSanitizerConfig(env: Readonly<Record<string, string | undefined>>): SanitizerConfig {
  const read = readEnvironment(env);
  const config = {
    listen: read.text("AIRLOCK_LISTEN"),
    secretsAddress: read.text("AIRLOCK_SECRETS_ADDRESS"),
  };
  read.check();
  return Object.freeze(config);
}
