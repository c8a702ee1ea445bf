import type { EmbeddedService } from "#common/service/embedded.ts";
import { startSanitizer } from "./main.ts";

/** The sanitizer as a service that is started in one process with the others. */
export const sanitizer: EmbeddedService<Record<string, never>> = {
  needs: ["secrets"],
  readSettings: () => ({}),
  start: (site, _settings, log) =>
    startSanitizer(
      {
        listen: site.address("sanitizer"),
        secretsAddress: site.address("secrets"),
        tlsDirectory: site.tlsDirectoryOf("sanitizer"),
      },
      log,
    ),
};
