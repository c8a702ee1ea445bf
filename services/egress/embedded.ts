import { resolve as resolvePath } from "node:path";
import type { EmbeddedService } from "#common/service/embedded.ts";
import { readRestPort } from "#common/service/rest-address.ts";
import { startEgress } from "./main.ts";
import { readDnsServers } from "./names/dns-servers.ts";
import type { Resolve } from "./names/resolve.ts";

export type EgressSettings = {
  /**
   * The path of a PEM file with further authorities that may certify servers, besides the public ones.
   * Undefined: none.
   */
  readonly extraCaPath: string | undefined;
  /** DNS servers for names that scripts ask for. Empty: the servers of this machine's resolv.conf. */
  readonly dnsServers: readonly string[];
  /** The port of the REST API, which no script may reach; 0 where any free one is taken, as tests do. */
  readonly restPort?: number | undefined;
  /** A function that tests use in place of DNS; undefined outside tests. */
  readonly resolve?: Resolve | undefined;
};

/** The egress service as a service that is started in one process with the others. */
export const egress: EmbeddedService<EgressSettings> = {
  needs: ["secrets"],
  readSettings(read) {
    const extraCa = read.optionalText("AIRLOCK_EGRESS_EXTRA_CA");
    return {
      extraCaPath: extraCa === undefined ? undefined : resolvePath(extraCa),
      dnsServers: readDnsServers(read),
      restPort: readRestPort(read),
    };
  },
  start: (site, { resolve, ...settings }, log) =>
    startEgress(
      {
        ...settings,
        listen: site.address("egress"),
        secretsAddress: site.address("secrets"),
        projectsDirectory: site.projectsDirectory,
        dataDirectory: site.dataDirectory,
        tlsDirectory: site.tlsDirectoryOf("egress"),
      },
      log,
      resolve,
    ),
};
