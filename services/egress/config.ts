import { readEnvironment } from "#common/service/environment.ts";
import { readDnsServers } from "./names/dns-servers.ts";

export type EgressConfig = {
  readonly listen: string;
  readonly secretsAddress: string;
  readonly projectsDirectory: string;
  /** The authority behind intercepted connections is kept here. */
  readonly dataDirectory: string;
  /** PEM file of authorities that servers may be certified by, besides the public ones; scripts trust them, too. */
  readonly extraCaPath: string | undefined;
  /** `address` or `address:port` of the DNS servers for names that scripts ask for; empty: those of this machine. */
  readonly dnsServers?: readonly string[];
  /** This service's certificates; needed where it is on a network. */
  readonly tlsDirectory?: string | undefined;
};

/** Reads the egress service's environment; throws a ConfigError that names every problem. */
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
