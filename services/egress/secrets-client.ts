import type { SecretsServiceClient } from "../common/gen/airlock/v1/secrets.ts";
import { callUnary } from "../common/grpc-client.ts";
import type { Injection } from "../common/project-network.ts";
import { Secret } from "../common/secret.ts";

export type BrokeredSecrets = {
  readonly current: readonly (Injection & { readonly secret: Secret })[];
  /** Earlier values, which a server may still send back. */
  readonly retired: readonly Secret[];
};

const TIMEOUT_MS = 5_000;

/** Asks the secrets service for the values that no script may hold. */
export async function resolveBrokered(
  client: SecretsServiceClient,
  project: string,
  signal: AbortSignal,
): Promise<BrokeredSecrets> {
  const limits = { timeoutMs: TIMEOUT_MS, signal };
  const answer = await callUnary(client, client.resolveBrokered, { project }, "secrets service", limits);
  return {
    current: answer.secrets.map(({ name, value, host, port, header, format }) => ({
      ...{ host, port, header, format },
      secret: new Secret(name, value),
    })),
    retired: answer.retired.map(({ name, value }) => new Secret(name, value)),
  };
}
