import { type Dependency, ReadinessServiceClient, type ReadinessServiceServer } from "#proto/readiness.ts";
import { asAirlockError, hasCode } from "../errors.ts";
import type { ServiceIdentity } from "../identity/identity.ts";
import type { TlsIdentity } from "../identity/tls-identity.ts";
import { callUnary, connect } from "./client.ts";
import { toGrpcStatus } from "./errors.ts";
import { createHealthCheck } from "./health.ts";

/**
 * Reports for each service and database that a service depends on whether it can be used. Does not reject.
 */
export type AskReadiness = () => Promise<Dependency[]>;

// Milliseconds for a readiness call; longer than a service takes to check what it depends on.
const TIMEOUT_MS = 2_000;

/** The gRPC handlers of ReadinessService, which answer with what `ask` reports. */
export function readinessHandlers(ask: AskReadiness): ReadinessServiceServer {
  return {
    getReadiness(_call, callback) {
      ask().then(
        (dependencies) => callback(null, { dependencies }),
        (error: unknown) => callback(toGrpcStatus(error)),
      );
    },
  };
}

/** Checks one called service: whether it serves, and whether what it depends on can be used. */
export type ReadinessCheck = {
  /** Whether the service serves. Does not reject. */
  health(): Promise<Dependency>;
  /**
   * Whether the service serves, followed by what it reports of the services and databases it depends on. Does
   * not reject.
   */
  readiness(): Promise<Dependency[]>;
  close(): void;
};

export function createReadinessCheck(
  name: ServiceIdentity,
  address: string,
  tls?: TlsIdentity,
): ReadinessCheck {
  const client = connect(ReadinessServiceClient, address, tls, name);
  const healthCheck = createHealthCheck(name, address, tls);
  return {
    health: healthCheck.check,
    async readiness() {
      try {
        const limits = { timeoutMs: TIMEOUT_MS };
        const { dependencies } = await callUnary(client, client.getReadiness, {}, name, limits);
        return [{ name, ready: true, detail: "" }, ...dependencies];
      } catch (error) {
        if (isUnknownCall(error)) return [await healthCheck.check()];
        return [{ name, ready: false, detail: asAirlockError(error).message }];
      }
    },
    close() {
      client.close();
      healthCheck.close();
    },
  };
}

/**
 * Lists each service and database once. The first report that says "not ready" wins over all others of the
 * same name.
 */
export function mergeDependencies(all: readonly Dependency[]): Dependency[] {
  const merged = new Map<string, Dependency>();
  for (const dependency of all) {
    if (merged.get(dependency.name)?.ready !== false) merged.set(dependency.name, dependency);
  }
  return [...merged.values()];
}

/**
 * Whether the called service is of an earlier version, which has no ReadinessService. This happens while
 * services are upgraded one after the other.
 */
function isUnknownCall(error: unknown): boolean {
  return hasCode(error, "permission_denied") || (hasCode(error, "internal") && error.origin === "transport");
}
