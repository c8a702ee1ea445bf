import { readEnvironment } from "#common/service/environment.ts";
import { isNetwork } from "#common/service/listen-address.ts";
import { readHostNames } from "./rest/web-pages.ts";

export type GatewayConfig = {
  readonly host: string;
  /** A network such as 10.1.2.0/24: connections to this machine's address in it are closed. */
  readonly exceptNetwork?: string | undefined;
  /** 0: any free port. */
  readonly port: number;
  /** What it may be called besides localhost and its addresses. */
  readonly hostNames?: readonly string[];
  /** gRPC targets: `unix:/path` or `host:port`. */
  readonly routerAddress: string;
  readonly poolManagerAddress: string;
  /** This service's certificates; needed where it is on a network. */
  readonly tlsDirectory?: string | undefined;
};

/** Reads the gateway's configuration. Throws a ConfigError that names every problem. */
export function readGatewayConfig(env: Readonly<Record<string, string | undefined>>): GatewayConfig {
  const read = readEnvironment(env);
  const exceptNetwork = read.optionalText("AIRLOCK_HOST_EXCEPT");
  if (exceptNetwork !== undefined && !isNetwork(exceptNetwork))
    read.refuse(`AIRLOCK_HOST_EXCEPT must be a network such as 10.1.2.0/24, not "${exceptNetwork}".`);
  const config = Object.freeze({
    host: read.text("AIRLOCK_HOST", "127.0.0.1"),
    exceptNetwork,
    port: read.integer("AIRLOCK_PORT", 8_000, 0, 65_535),
    hostNames: readHostNames(read),
    routerAddress: read.text("AIRLOCK_ROUTER_ADDRESS"),
    poolManagerAddress: read.text("AIRLOCK_POOL_MANAGER_ADDRESS"),
    tlsDirectory: read.optionalText("AIRLOCK_TLS_DIR"),
  });
  read.check();
  return config;
}
