import { readEnvironment } from "#common/service/environment.ts";
import { readVaultSettings, type VaultSettings } from "./sources/vault-settings.ts";

export type SecretsConfig = {
  /** The address that the service listens on: `unix:/path` or `host:port`. */
  readonly listen: string;
  readonly projectsDir: string;
  /** How to reach the vault; undefined means that `${vault:}` references are refused. */
  readonly vault?: VaultSettings | undefined;
  /**
   * The file that keeps the key from which versions of secret values are made. Undefined means a new key at
   * each start, so that versions from before a restart are unknown.
   */
  readonly versionKeyPath?: string | undefined;
  /** The directory of this service's certificates; needed when the service listens on a network. */
  readonly tlsDirectory?: string | undefined;
};

/** Reads AIRLOCK_LISTEN, AIRLOCK_PROJECTS_DIR and the vault's settings; throws a ConfigError that names all problems. */
export function readSecretsConfig(env: Readonly<Record<string, string | undefined>>): SecretsConfig {
  const read = readEnvironment(env);
  const config = {
    listen: read.text("AIRLOCK_LISTEN"),
    projectsDir: read.text("AIRLOCK_PROJECTS_DIR"),
    versionKeyPath: read.optionalText("AIRLOCK_VERSION_KEY_FILE"),
    vault: readVaultSettings(read),
    tlsDirectory: read.optionalText("AIRLOCK_TLS_DIR"),
  };
  read.check();
  return Object.freeze(config);
}
