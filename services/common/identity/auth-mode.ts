import type { EnvironmentReader } from "../service/environment.ts";

/**
 * Whether the gateway demands a credential of its clients. `off`: every client is the user of this deployment.
 */
export type AuthMode = "off" | "required";

/** Reads AIRLOCK_AUTH: `off` or `required`; `off` unless set. */
export function readAuthMode(read: EnvironmentReader): AuthMode {
  return read.choice("AIRLOCK_AUTH", ["off", "required"], "off");
}
