import { join } from "node:path";
import type { EmbeddedService } from "#common/service/embedded.ts";
import { startSecrets } from "./main.ts";
import { readVaultSettings, type VaultSettings } from "./sources/vault-settings.ts";

export type SecretsSettings = {
  readonly vault: VaultSettings | undefined;
  /**
   * The file with the key from which the version (an opaque id) of a project's secret values is made.
   * Undefined: each start makes a new key. The service then does not recognize a version from before a
   * restart, so the output of runs with that version is withheld.
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
