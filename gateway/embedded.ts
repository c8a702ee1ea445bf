import { readAuthMode } from "#common/identity/auth-mode.ts";
import type { EmbeddedService } from "#common/service/embedded.ts";
import { readRestHost, readRestPort } from "#common/service/rest-address.ts";
import { startGateway } from "./main.ts";
import { readRatesConfig } from "./rates/config.ts";
import { readCertificateFiles } from "./rest/https/certificate.ts";
import { readHostNames } from "./rest/web-pages.ts";
import type { ListenAt, RunningGateway } from "./serve.ts";

export const gateway: EmbeddedService<ListenAt, RunningGateway> = {
  needs: ["router", "pool-manager", "authority"],
  readSettings: (read, { isMock }) => {
    const host = readRestHost(read);
    // The mock runs nothing and knows no credentials.
    const auth = isMock ? "off" : readAuthMode(read, host);
    return {
      host,
      port: readRestPort(read),
      hostNames: readHostNames(read),
      auth,
      rates: readRatesConfig(read, auth),
      certificate: readCertificateFiles(read),
    };
  },
  start: (site, settings, log, hosted) =>
    startGateway(
      {
        ...settings,
        routerAddress: site.address("router"),
        poolManagerAddress: site.address("pool-manager"),
        authorityAddress: site.address("authority"),
      },
      log,
      hosted,
    ),
};
