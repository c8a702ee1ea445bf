import { AirlockError } from "../common/errors.ts";
import type { SecretsServiceServer, SecretValue } from "../common/gen/airlock/v1/secrets.ts";
import { handlersFor } from "../common/grpc-server.ts";
import type { Log } from "../common/log.ts";
import type { Secret } from "../common/secret.ts";
import { isBrokered } from "./brokered-secret.ts";
import type { Resolved } from "./history.ts";
import type { ProjectSecrets } from "./project-secrets.ts";

/** What each caller is given: workers never what is brokered, the egress service nothing else, the sanitizer all. */
export function secretsHandlers(projects: ProjectSecrets, log: Log): SecretsServiceServer {
  const { unary } = handlersFor(log);
  const resolve = async ({ project }: { project: string }): Promise<Resolved> => {
    if (project === "") throw new AirlockError("invalid_request", "`project` is missing.");
    return await projects.resolve(project);
  };
  return {
    resolveSecrets: unary(async (request) => {
      const { version, secrets, retired } = await resolve(request);
      return {
        version,
        secrets: secrets.filter((secret) => !isBrokered(secret)).map(inTheClear),
        retired: retired.filter((secret) => !isBrokered(secret)).map(inTheClear),
      };
    }),
    resolveNeedles: unary(async (request) => {
      const { version, secrets, retired, retiredVersions } = await resolve(request);
      return {
        version,
        secrets: secrets.map(inTheClear),
        retired: retired.map(inTheClear),
        retiredVersions: [...retiredVersions],
      };
    }),
    resolveBrokered: unary(async (request) => {
      const { secrets, retired } = await resolve(request);
      return {
        secrets: secrets.filter(isBrokered).map((secret) => ({ ...inTheClear(secret), ...secret.injection })),
        retired: retired.filter(isBrokered).map(inTheClear),
      };
    }),
  };
}

function inTheClear(secret: Secret): SecretValue {
  return { name: secret.name, value: secret.reveal() };
}
