import { type Dependency, ReadinessServiceClient, type ReadinessServiceServer } from "#proto/readiness.ts";
import { asAirlockError, hasCode } from "../errors.ts";
import type { ServiceIdentity } from "../identity/identity.ts";
import type { TlsIdentity } from "../identity/tls-identity.ts";
import { callUnary, connect } from "./client.ts";
import { toGrpcStatus } from "./errors.ts";
import { createHealthCheck } from "./health.ts";

/** Tells whether each service and database that a service depends on can be used. Does not reject. */
export type AskReadiness = () => Promise<Dependency[]>;

// Longer than a service's checks of what it depends on take.
const TIMEOUT_MS = 2_000;

/** ReadinessService of the service that `ask` belongs to. */
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

/** How one service that is called can be asked whether it, and what it depends on, can be used. */
export type ReadinessCheck = {
  /** Whether the service serves. Does not reject. */
  health(): Promise<Dependency>;
  /** The same, and what the service says of what it depends on. Does not reject. */
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

/** Each service and database once; of several words on one the first counts that says why it is not ready. */
export function mergeDependencies(all: readonly Dependency[]): Dependency[] {
  const merged = new Map<string, Dependency>();
  for (const dependency of all) {
    if (merged.get(dependency.name)?.ready !== false) merged.set(dependency.name, dependency);
  }
  return [...merged.values()];
}

/** While services are upgraded one after the other, one of an earlier version may not know ReadinessService yet. */
function isUnknownCall(error: unknown): boolean {
  return hasCode(error, "permission_denied") || (hasCode(error, "internal") && error.origin === "transport");
}
