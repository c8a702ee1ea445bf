import type { SecretsServiceClient, SecretValue } from "../common/gen/airlock/v1/secrets.ts";
import { callUnary } from "../common/grpc-client.ts";
import { Secret } from "../common/secret.ts";
import type { ResolveProject } from "./needle-cache.ts";

const RESOLVE_TIMEOUT_MS = 2_000;

/** Asks the secrets service. */
export function resolveWith(client: SecretsServiceClient): ResolveProject {
  return async (project, signal) => {
    const limits = { timeoutMs: RESOLVE_TIMEOUT_MS, signal };
    const answer = await callUnary(client, client.resolveNeedles, { project }, "secrets service", limits);
    const { version, secrets, retired, retiredVersions } = answer;
    return { version, secrets: [...secrets, ...retired].map(asSecret), retiredVersions };
  };
}

function asSecret({ name, value }: SecretValue): Secret {
  return new Secret(name, value);
}
