import { join } from "node:path";
import { readAuthMode } from "#common/identity/auth-mode.ts";
import { readRateLimits } from "#common/identity/rate-limits.ts";
import type { EmbeddedService } from "#common/service/embedded.ts";
import { readRestHost } from "#common/service/rest-address.ts";
import type { AuthorityConfig } from "./config.ts";
import { startAuthority } from "./main.ts";
import { readTokenSettings } from "./tokens/settings.ts";

export type AuthoritySettings = Pick<
  AuthorityConfig,
  "database" | "auth" | "adminKey" | "rateLimits" | "tokens" | "grantsFile"
>;

export const authority: EmbeddedService<AuthoritySettings> = {
  needs: [],
  readSettings: (read, { dataDirectory }) => ({
    database: { kind: "sqlite", path: join(dataDirectory, "authority.db") },
    auth: readAuthMode(read, readRestHost(read)),
    adminKey: {
      given: read.optionalText("AIRLOCK_ADMIN_KEY_FILE"),
      made: join(dataDirectory, "admin-key"),
    },
    tokens: readTokenSettings(read),
    grantsFile: read.optionalText("AIRLOCK_GRANTS_FILE"),
    rateLimits: readRateLimits(read),
  }),
  start: (site, settings, log) =>
    startAuthority(
      {
        ...settings,
        listen: site.address("authority"),
        tlsDirectory: site.tlsDirectoryOf("authority"),
      },
      log,
    ),
};
