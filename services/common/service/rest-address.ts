import type { EnvironmentReader } from "./environment.ts";

/** Reads AIRLOCK_HOST, the address on which the gateway listens; 127.0.0.1 unless set. */
export function readRestHost(read: EnvironmentReader): string {
  return read.text("AIRLOCK_HOST", "127.0.0.1");
}

/** Reads AIRLOCK_PORT, the port on which the gateway listens; 8000 unless set, 0 for any free one. */
export function readRestPort(read: EnvironmentReader): number {
  return read.integer("AIRLOCK_PORT", 8_000, 0, 65_535);
}
