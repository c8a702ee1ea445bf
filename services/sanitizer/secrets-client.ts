import { callUnary } from "#common/grpc/client.ts";
import { Secret } from "#common/secret.ts";
import type { SecretsServiceClient } from "#proto/secrets.ts";
import type { ResolveVersion } from "./needle-cache.ts";

/** Milliseconds in which one call to the secrets service must be answered. */
const RESOLVE_TIMEOUT_MS = 2_000;

/**
 * Makes the function by which the needle cache reads the secret values of one version of a project: a gRPC
 * call to the secrets service.
 */
export function resolveWith(client: SecretsServiceClient): ResolveVersion {
  return async (project, version, signal) => {
    const limits = { timeoutMs: RESOLVE_TIMEOUT_MS, signal };
    const request = { project, version };
    const answer = await callUnary(client, client.resolveNeedles, request, "secrets service", limits);
    return {
      version: answer.version,
      secrets: answer.secrets.map(({ name, value }) => new Secret(name, value)),
    };
  };
}
