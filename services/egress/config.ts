import { readEnvironment } from "#common/service/environment.ts";
import { readDnsServers } from "./names/dns-servers.ts";

export type EgressConfig = {
  /** The address that the service listens on: `unix:/path` or `host:port`. */
  readonly listen: string;
  /** The address of the secrets service: `unix:/path` or `host:port`. */
  readonly secretsAddress: string;
  /** The directory of the project files. */
  readonly projectsDirectory: string;
  /**
   * The directory that keeps the certificate authority for intercepted connections, and the key from which the
   * proxy credentials and the placeholders of each run are derived.
   */
  readonly dataDirectory: string;
  /** The port of the REST API on this machine, which no script may reach; undefined when the gateway is elsewhere. */
  readonly restPort?: number | undefined;
  /**
   * The path of a PEM file with further authorities that may certify servers, besides the public ones.
   * Scripts trust these authorities, too. Undefined: none.
   */
  readonly extraCaPath: string | undefined;
  /**
   * DNS servers for names that scripts ask for, each `address` or `address:port`. Empty or undefined: the
   * servers of this machine's resolv.conf.
   */
  readonly dnsServers?: readonly string[];
  /**
   * The directory of this service's certificates. Undefined only where all services are on one machine and
   * use Unix sockets.
   */
  readonly tlsDirectory?: string | undefined;
};

/**
 * Reads the egress service's configuration from the environment. Throws a ConfigError that names every
 * problem.
 */
export function readEgressConfig(env: NodeJS.ProcessEnv): EgressConfig {
  const read = readEnvironment(env);
  const config = {
    listen: read.text("AIRLOCK_LISTEN"),
    secretsAddress: read.text("AIRLOCK_SECRETS_ADDRESS"),
    projectsDirectory: read.text("AIRLOCK_PROJECTS_DIR"),
    dataDirectory: read.text("AIRLOCK_DATA_DIR"),
    extraCaPath: env.AIRLOCK_EGRESS_EXTRA_CA || undefined,
    dnsServers: readDnsServers(read),
    tlsDirectory: read.optionalText("AIRLOCK_TLS_DIR"),
  };
  read.check();
  return Object.freeze(config);
}
