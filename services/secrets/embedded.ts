import { join } from "node:path";
import type { EmbeddedService } from "#common/service/embedded.ts";
import { startSecrets } from "./main.ts";
import { readVaultSettings, type VaultSettings } from "./sources/vault-settings.ts";

export type SecretsSettings = {
  readonly vault: VaultSettings | undefined;
  /**
   * The file that keeps the key from which versions of secret values are made. Undefined means a new key at
   * each start, so that versions from before a restart are unknown.
   */
  readonly versionKeyPath: string | undefined;
};

export const secrets: EmbeddedService<SecretsSettings> = {
  needs: [],
  readSettings: (read, { dataDirectory }) => ({
    vault: readVaultSettings(read),
    versionKeyPath: join(dataDirectory, "version-key"),
  }),
  start: (site, settings, log) =>
    startSecrets(
      {
        ...settings,
        listen: site.address("secrets"),
        projectsDir: site.projectsDirectory,
        tlsDirectory: site.tlsDirectoryOf("secrets"),
      },
      log,
    ),
};
