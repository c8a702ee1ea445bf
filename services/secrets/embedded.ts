import { join } from "node:path";
import type { EmbeddedService } from "#common/service/embedded.ts";
import { startSecrets } from "./main.ts";
import { readVaultSettings, type VaultSettings } from "./sources/vault-settings.ts";

export type SecretsSettings = {
  readonly vault: VaultSettings | undefined;
  /** The file with the key of versions; undefined means that versions are lost when the process ends. */
  readonly versionKeyPath: string | undefined;
};

export const secrets: EmbeddedService<SecretsSettings> = {
  needs: [],
  readSettings: (read, { dataDirectory }) => ({
    vault: readVaultSettings(read),
    versionKeyPath: join(dataDirectory, "version-key"),
  }),
  start: (site, settings, log) =>
    startSecrets({ ...settings, listen: site.address("secrets"), projectsDir: site.projectsDirectory }, log),
};
