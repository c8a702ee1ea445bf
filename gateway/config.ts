import { type AuthMode, readAuthMode } from "#common/identity/auth-mode.ts";
import { readEnvironment } from "#common/service/environment.ts";
import { isNetwork } from "#common/service/listen-address.ts";
import { readRestHost, readRestPort } from "#common/service/rest-address.ts";
import { type RatesConfig, readRatesConfig } from "./rates/config.ts";
import { type CertificateFiles, readCertificateFiles } from "./rest/https/certificate.ts";
import { readHostNames } from "./rest/web-pages.ts";

export type GatewayConfig = {
  readonly host: string;
  /**
   * A network such as 10.1.2.0/24 that the gateway does not serve: connections that arrive at this machine's
   * address in that network are closed. Undefined: no connection is closed for that reason.
   */
  readonly exceptNetwork?: string | undefined;
  /** Whether clients need a credential; `off` unless said. */
  readonly auth?: AuthMode;
  /** TCP port; 0 takes any free one. */
  readonly port: number;
  /** Host names that clients may use for this gateway, besides localhost and its IP addresses. */
  readonly hostNames?: readonly string[];
  /** The files of the certificate with which REST is served over HTTPS; undefined: over HTTP. */
  readonly certificate?: CertificateFiles | undefined;
  /** The gRPC target of the router, `unix:/path` or `host:port`. */
  readonly routerAddress: string;
  /** The gRPC target of the pool-manager, `unix:/path` or `host:port`. */
  readonly poolManagerAddress: string;
  /** The gRPC target of the authority, `unix:/path` or `host:port`. */
  readonly authorityAddress: string;
  /**
   * The directory of the gateway's TLS certificates. Undefined only where all services are on one machine and
   * call each other over Unix sockets.
   */
  readonly tlsDirectory?: string | undefined;
  /** What limits the requests of clients; undefined: they are not counted. */
  readonly rates?: RatesConfig | undefined;
};

/** Reads the gateway's configuration. Throws a ConfigError that names every problem. */
export function readGatewayConfig(env: Readonly<Record<string, string | undefined>>): GatewayConfig {
  const read = readEnvironment(env);
  const exceptNetwork = read.optionalText("AIRLOCK_HOST_EXCEPT");
  if (exceptNetwork !== undefined && !isNetwork(exceptNetwork))
    read.refuse(`AIRLOCK_HOST_EXCEPT must be a network such as 10.1.2.0/24, not "${exceptNetwork}".`);
  const host = readRestHost(read);
  const auth = readAuthMode(read, host);
  const config = Object.freeze({
    host,
    exceptNetwork,
    port: readRestPort(read),
    hostNames: readHostNames(read),
    certificate: readCertificateFiles(read),
    routerAddress: read.text("AIRLOCK_ROUTER_ADDRESS"),
    poolManagerAddress: read.text("AIRLOCK_POOL_MANAGER_ADDRESS"),
    authorityAddress: read.text("AIRLOCK_AUTHORITY_ADDRESS"),
    auth,
    rates: readRatesConfig(read, auth),
    tlsDirectory: read.optionalText("AIRLOCK_TLS_DIR"),
  });
  read.check();
  return config;
}
