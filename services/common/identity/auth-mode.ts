import ipaddr from "ipaddr.js";
import type { EnvironmentReader } from "../service/environment.ts";

/**
 * Whether the gateway demands a credential of its clients. `off`: every client is the user of this deployment.
 */
export type AuthMode = "off" | "required";
const MODES = ["off", "required"] as const;

/** Reads AIRLOCK_AUTH for a service that does not know where the gateway listens; `off` unless set. */
export function readStatedAuthMode(read: EnvironmentReader): AuthMode {
  return read.choice("AIRLOCK_AUTH", MODES, "off");
}

/**
 * Reads AIRLOCK_AUTH for a gateway that listens on `host`. Unset means `off` where only this machine reaches the
 * gateway, otherwise `required`. Elsewhere `off` is a problem, because every client that reaches the gateway would run
 * scripts with the deployment's credentials.
 */
export function readAuthMode(read: EnvironmentReader, host: string): AuthMode {
  const isOpen = !isLoopback(host);
  const mode = read.choice("AIRLOCK_AUTH", MODES, isOpen ? "required" : "off");
  if (mode === "off" && isOpen)
    read.refuse(
      `AIRLOCK_AUTH may be off only where the gateway listens on this machine alone, and AIRLOCK_HOST is ${host}; set AIRLOCK_AUTH=required, or AIRLOCK_HOST=127.0.0.1.`,
    );
  return mode;
}

/** Whether only programs of this machine reach what listens on `host`, an IP address or a name. */
export function isLoopback(host: string): boolean {
  if (host === "localhost") return true;
  return ipaddr.isValid(host) && ipaddr.process(host).range() === "loopback";
}
