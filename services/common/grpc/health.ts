import { type Client, makeGenericClientConstructor } from "@grpc/grpc-js";
import { service as healthService } from "grpc-health-check";
import type { Dependency } from "#proto/readiness.ts";
import { asAirlockError } from "../errors.ts";
import type { ServiceIdentity } from "../identity/identity.ts";
import type { TlsIdentity } from "../identity/tls-identity.ts";
import { callUnary, connectTo } from "./client.ts";

type HealthMethod = Parameters<typeof callUnary<{ service: string }, { status: string | number }>>[1];

const TIMEOUT_MS = 1_000;

/**
 * A client of the standard gRPC health service at `address`. `check` asks whether the service `name` is there
 * and not stopping, and waits at most 1 s. `check` never rejects: a failed call is reported as not ready,
 * with the reason in `detail`.
 */
export function createHealthCheck(
  name: ServiceIdentity,
  address: string,
  tls?: TlsIdentity,
): { check(): Promise<Dependency>; close(): void } {
  // The package grpc-health-check describes the service but has no typed client.
  const client = connectTo(
    makeGenericClientConstructor(healthService, "Health"),
    address,
    tls,
    name,
  ) as unknown as Client & { check: HealthMethod };
  return {
    async check() {
      try {
        const { status } = await callUnary(client, client.check, { service: "" }, name, {
          timeoutMs: TIMEOUT_MS,
        });
        const ready = status === "SERVING" || status === 1;
        return { name, ready, detail: ready ? "" : `The ${name} is stopping.` };
      } catch (error) {
        return { name, ready: false, detail: asAirlockError(error).message };
      }
    },
    close: () => client.close(),
  };
}
