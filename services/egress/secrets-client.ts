import { callUnary } from "#common/grpc/client.ts";
import type { Injection } from "#common/projects/sections/injection.ts";
import { Secret } from "#common/secret.ts";
import type { SecretsServiceClient } from "#proto/secrets.ts";

/** A brokered secret, with the host, port and request header into which the proxy inserts its value. */
export type Brokered = Injection & { readonly secret: Secret };

const TIMEOUT_MS = 5_000;

/**
 * Fetches the brokered secret values that a project had at `version`, and which no script may hold, from the
 * secrets service; the current ones when `version` is empty.
 */
export async function resolveBrokered(
  client: SecretsServiceClient,
  project: string,
  version: string,
  signal: AbortSignal,
): Promise<Brokered[]> {
  const limits = { timeoutMs: TIMEOUT_MS, signal };
  const request = { project, version };
  const answer = await callUnary(client, client.resolveBrokered, request, "secrets service", limits);
  return answer.secrets.map(({ name, value, host, port, header, format }) => ({
    ...{ host, port, header, format },
    secret: new Secret(name, value),
  }));
}
