import { AirlockError } from "#common/errors.ts";
import { handlersFor } from "#common/grpc/server.ts";
import type { Secret } from "#common/secret.ts";
import type { Log } from "#common/service/log.ts";
import type { SecretsServiceServer, SecretValue } from "#proto/secrets.ts";
import { isBrokered } from "./brokered-secret.ts";
import type { ProjectSecrets } from "./project-secrets.ts";
import { createWeakValueWarnings } from "./weak-value-warnings.ts";

/**
 * The gRPC handlers of the secrets service. `resolveSecrets` gives the pool-manager the values for scripts.
 * `resolveNeedles` gives the sanitizer exactly these values and no others, because a script could print
 * guesses and learn any further value from what the sanitizer redacts. Only `resolveBrokered`, which the
 * egress service calls, returns brokered values.
 */
export function secretsHandlers(projects: ProjectSecrets, log: Log): SecretsServiceServer {
  const { unary } = handlersFor(log);
  const warnOfWeakValues = createWeakValueWarnings(log);
  /** The values of this version; of the current one when `version` is empty. */
  const resolved = (project: string, version: string) =>
    version === "" ? projects.current(named(project)) : projects.ofVersion(named(project), version);
  return {
    resolveSecrets: unary(async ({ project }) => {
      const { version, secrets } = await projects.current(named(project));
      warnOfWeakValues(project, secrets);
      return { version, secrets: givenToScripts(secrets) };
    }),
    resolveNeedles: unary(async ({ project, version: wanted }) => {
      const { version, secrets } = await resolved(project, wanted);
      return { version, secrets: givenToScripts(secrets) };
    }),
    resolveBrokered: unary(async ({ project, version }) => {
      const { secrets } = await resolved(project, version);
      return {
        secrets: secrets.filter(isBrokered).map((secret) => ({ ...inTheClear(secret), ...secret.injection })),
      };
    }),
    checkSecrets: unary(async () => ({ problems: await projects.problems() })),
  };
}

function named(project: string): string {
  if (project === "") throw new AirlockError("invalid_request", "`project` is missing.");
  return project;
}

function givenToScripts(secrets: readonly Secret[]): SecretValue[] {
  return secrets.filter((secret) => !isBrokered(secret)).map(inTheClear);
}

function inTheClear(secret: Secret): SecretValue {
  return { name: secret.name, value: secret.reveal() };
}
