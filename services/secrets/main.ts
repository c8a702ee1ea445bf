import { openEdges } from "#common/grpc/edges.ts";
import { startGrpcServer } from "#common/grpc/server.ts";
import { openProjectCatalogue } from "#common/projects/catalogue.ts";
import { systemClock } from "#common/resilience/clock.ts";
import type { Log } from "#common/service/log.ts";
import { type RunningService, runService } from "#common/service/run-service.ts";
import { SecretsServiceService } from "#proto/secrets.ts";
import { readSecretsConfig, type SecretsConfig } from "./config.ts";
import { secretsHandlers } from "./handlers.ts";
import { createSecretHistory } from "./history.ts";
import { createNeedleCheck } from "./needle-check.ts";
import { createProjectSecrets } from "./project-secrets.ts";
import { envSource } from "./sources/env.ts";
import { fileSource } from "./sources/file.ts";
import { plainSource } from "./sources/plain.ts";
import { vaultSource } from "./sources/vault.ts";
import { checkVaultAuthorities } from "./sources/vault-settings.ts";
import { readVersionKey } from "./version-key.ts";

/**
 * Starts the secrets service, the only service that reads secret values from their sources: environment
 * variables, files, a vault and project files.
 */
export async function startSecrets(config: SecretsConfig, log: Log): Promise<RunningService> {
  const catalogue = await openProjectCatalogue(config.projectsDir);
  await checkVaultAuthorities(config.vault);
  const key = await readVersionKey(config.versionKeyPath);
  const sources = {
    env: envSource(process.env),
    file: fileSource(config.projectsDir, systemClock),
    vault: vaultSource(config.vault, systemClock),
    plain: plainSource,
  };
  const projects = createProjectSecrets(
    catalogue,
    sources,
    createSecretHistory(systemClock, key),
    createNeedleCheck(),
    systemClock,
  );
  const edges = await openEdges("secrets", config, log);
  const server = await startGrpcServer(
    config.listen,
    [[SecretsServiceService, secretsHandlers(projects, log)]],
    edges.tls,
  );
  return {
    address: server.address,
    async drain(graceMs) {
      await server.drain(graceMs);
      edges.close();
    },
  };
}

if (import.meta.main) await runService("secrets", readSecretsConfig, startSecrets);
