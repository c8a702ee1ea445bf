import { AirlockError } from "../common/errors.ts";
import type { SecretsServiceServer, SecretValue } from "../common/gen/airlock/v1/secrets.ts";
import { handlersFor } from "../common/grpc-server.ts";
import type { Log } from "../common/log.ts";
import type { Secret } from "../common/secret.ts";
import type { ProjectSecrets } from "./project-secrets.ts";

export function secretsHandlers(projects: ProjectSecrets, log: Log): SecretsServiceServer {
  return {
    resolveSecrets: handlersFor(log).unary(async ({ project }) => {
      if (project === "") throw new AirlockError("invalid_request", "`project` is missing.");
      const { version, secrets, retired, retiredVersions } = await projects.resolve(project);
      return {
        version,
        secrets: secrets.map(inTheClear),
        retired: retired.map(inTheClear),
        retiredVersions: [...retiredVersions],
      };
    }),
  };
}

function inTheClear(secret: Secret): SecretValue {
  return { name: secret.name, value: secret.reveal() };
}
