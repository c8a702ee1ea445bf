import { isIP } from "node:net";
import type { EnvironmentReader } from "#common/service/environment.ts";

/**
 * Reads AIRLOCK_DNS_SERVERS, a list with commas: `10.0.0.53`, `10.0.0.53:5353`, `[fd00::53]:5353`. Empty when
 * the variable is not set. A wrong entry is reported to `read`, which refuses the configuration.
 */
export function readDnsServers(read: EnvironmentReader): readonly string[] {
  const servers = (read.optionalText("AIRLOCK_DNS_SERVERS") ?? "")
    .split(",")
    .map((server) => server.trim())
    .filter((server) => server !== "");
  const wrong = servers.find((server) => !isServer(server));
  if (wrong !== undefined) {
    read.refuse(
      `AIRLOCK_DNS_SERVERS must be addresses, each with or without a port, separated by commas, not "${wrong}"`,
    );
  }
  return servers;
}

function isServer(text: string): boolean {
  if (isIP(text) !== 0) return true;
  const [, ipv6, ipv4, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const isAddress = ipv6 === undefined ? isIP(ipv4 ?? "") === 4 : isIP(ipv6) === 6;
  return isAddress && Number(port) >= 1 && Number(port) <= 65_535;
}
