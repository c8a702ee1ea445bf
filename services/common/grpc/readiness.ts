import { type Dependency, ReadinessServiceClient, type ReadinessServiceServer } from "#proto/readiness.ts";
import { asAirlockError, hasCode } from "../errors.ts";
import type { ServiceIdentity } from "../identity/identity.ts";
import type { TlsIdentity } from "../identity/tls-identity.ts";
import { callUnary, connectTo } from "./client.ts";
import { toGrpcStatus } from "./errors.ts";
import { createHealthCheck } from "./health.ts";

/**
 * A function of a service that reports, for each service and database that the service depends on, whether it
 * can be used. Does not reject.
 */
export type AskReadiness = () => Promise<Dependency[]>;

// Milliseconds after which a readiness call fails. The called service answers earlier, because each of its
// own checks of a dependency ends after 1 s.
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

/**
 * Checks one service that this service calls: whether the called service serves, and whether its own
 * dependencies can be used.
 */
export type ReadinessCheck = {
  /** Whether the called service serves; a failed call is reported as not ready. Does not reject. */
  health(): Promise<Dependency>;
  /**
   * First whether the called service serves, then one entry for each service and database that it depends on,
   * as it reports them. Does not reject.
   */
  readiness(): Promise<Dependency[]>;
  close(): void;
};

export function createReadinessCheck(
  name: ServiceIdentity,
  address: string,
  tls?: TlsIdentity,
): ReadinessCheck {
  const client = connectTo(ReadinessServiceClient, address, tls, name);
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
 * Lists each service and database once. Of several reports on the same one, the first that says "not ready"
 * is kept.
 */
export function mergeDependencies(all: readonly Dependency[]): Dependency[] {
  const merged = new Map<string, Dependency>();
  for (const dependency of all) {
    if (merged.get(dependency.name)?.ready !== false) merged.set(dependency.name, dependency);
  }
  return [...merged.values()];
}

/**
 * Whether the error means that the called service is of an earlier version without ReadinessService, which
 * refuses the unknown call. This happens while services are upgraded one after the other. The check then asks
 * only whether the service serves.
 */
function isUnknownCall(error: unknown): boolean {
  return hasCode(error, "permission_denied") || (hasCode(error, "internal") && error.origin === "transport");
}
