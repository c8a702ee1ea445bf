import { AirlockError, hasCode } from "#common/errors.ts";
import { callUnary } from "#common/grpc/client.ts";
import type { Project } from "#common/projects/file.ts";
import type { Clock } from "#common/resilience/clock.ts";
import { Secret } from "#common/secret.ts";
import type { ResolveSecretsResponse, SecretsServiceClient } from "#proto/secrets.ts";
import type { ProvisionRequest } from "#proto/worker.ts";

/** The values that a worker is given: settings, limits and secrets. `revision` changes whenever they do. */
export type Provision = {
  readonly revision: string;
  readonly request: Omit<ProvisionRequest, "workerId" | "secrets">;
  /** Revealed only in the request that is sent to a worker. */
  readonly secrets: readonly Secret[];
};

// Milliseconds that values are reused, so a rotated secret reaches the next run within this time.
const FRESH_MS = 1_000;
// Milliseconds that the answer of the secrets service may take: longer than that service waits for a vault.
const TIMEOUT_MS = 5_000;

/**
 * Returns a function that fetches the values for a project's workers, at most once a second. The function
 * rejects with `start_failed` or `unavailable`.
 */
export function createProvisioning(
  secrets: SecretsServiceClient,
  clock: Clock,
): (project: Project) => Promise<Provision> {
  const latest = new Map<string, { provision: Provision; projectRevision: string; until: number }>();
  return async (project) => {
    const known = latest.get(project.name);
    if (known && known.projectRevision === project.provisionRevision && known.until > clock.monotonicMs())
      return known.provision;
    let resolved: ResolveSecretsResponse;
    try {
      resolved = await callUnary(
        secrets,
        secrets.resolveSecrets,
        { project: project.name },
        "secrets service",
        {
          timeoutMs: TIMEOUT_MS,
        },
      );
    } catch (error) {
      // The project file broke or was removed while its pool runs. Executions that were accepted earlier
      // still get the last values.
      if (known && (hasCode(error, "project_invalid") || hasCode(error, "project_not_found")))
        return known.provision;
      if (hasCode(error, "deadline_exceeded")) throw notReady(error);
      throw error;
    }
    const { limits } = project;
    const provision: Provision = {
      revision: `${project.provisionRevision}:${resolved.version}`,
      request: {
        project: project.name,
        secretsVersion: resolved.version,
        settings: { ...project.settings },
        limits: {
          maxOutputBytes: limits.maxOutputBytes,
          maxResultBytes: limits.maxResultBytes,
          memoryBytes: limits.memoryBytes,
          diskBytes: limits.diskBytes,
          pids: limits.pids,
          cpus: limits.cpus,
        },
        network: project.network.allowlist.length > 0,
      },
      secrets: resolved.secrets.map(({ name, value }) => new Secret(name, value)),
    };
    latest.set(project.name, {
      provision,
      projectRevision: project.provisionRevision,
      until: clock.monotonicMs() + FRESH_MS,
    });
    return provision;
  };
}

/**
 * The error of a secrets service that is busy, for example with the large secrets of many projects. Its code is
 * `unavailable`, because a router then waits and asks again, as long as the execution may wait.
 */
function notReady(cause: unknown): AirlockError {
  return new AirlockError(
    "unavailable",
    "The secrets service has not prepared the project's secrets yet. They are asked for again in a few seconds.",
    { cause },
  );
}
