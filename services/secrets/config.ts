import { readEnvironment } from "#common/service/environment.ts";
import { readVaultSettings, type VaultSettings } from "./sources/vault-settings.ts";

export type SecretsConfig = {
  /** `unix:/path` or `host:port`. */
  readonly listen: string;
  readonly projectsDir: string;
  /** Absent: `${vault:}` references are refused. */
  readonly vault?: VaultSettings | undefined;
  /** Where the key of the versions is kept; absent: they end with this process. */
  readonly versionKeyPath?: string | undefined;
  /** This service's certificates; needed where it is on a network. */
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
