import { readEnvironment } from "#common/service/environment.ts";
import { readVaultSettings, type VaultSettings } from "./sources/vault-settings.ts";

export type SecretsConfig = {
  /** The address that the service listens on: `unix:/path` or `host:port`. */
  readonly listen: string;
  readonly projectsDir: string;
  /** How to reach the vault; undefined means that `${vault:}` references are refused. */
  readonly vault?: VaultSettings | undefined;
  /**
   * The file with the key from which the version (an opaque id) of a project's secret values is made.
   * Undefined: each start makes a new key. The service then does not recognize a version from before a
   * restart, so the output of runs with that version is withheld.
   */
  readonly versionKeyPath?: string | undefined;
  /**
   * The directory of this service's TLS certificate and key, which the service needs when it listens on a
   * network; undefined when it listens on a Unix socket.
   */
  readonly tlsDirectory?: string | undefined;
};

/**
 * Reads the settings of the secrets service from environment variables: AIRLOCK_LISTEN, AIRLOCK_PROJECTS_DIR,
 * AIRLOCK_VERSION_KEY_FILE, AIRLOCK_TLS_DIR and AIRLOCK_VAULT_*. Throws a ConfigError that names all
 * problems.
 */
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
