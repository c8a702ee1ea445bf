import { join } from "node:path";
import type { EmbeddedService, EmbeddedSite } from "#common/service/embedded.ts";
import { type RouterConfig, readMaxStoredBytes, readMaxUnfinished, readRetentionMs } from "./config.ts";
import { startRouter } from "./main.ts";

export type RouterSettings = Pick<
  RouterConfig,
  "database" | "maxUnfinished" | "maxStoredBytes" | "retentionMs" | "leavesRuns"
>;

export const router: EmbeddedService<RouterSettings> = {
  needs: ["pool-manager", "sanitizer", "egress", "authority"],
  readSettings: (read, { dataDirectory }) => ({
    database: { kind: "sqlite", path: join(dataDirectory, "airlock.db") },
    maxUnfinished: readMaxUnfinished(read),
    maxStoredBytes: readMaxStoredBytes(read),
    retentionMs: readRetentionMs(read),
    // A stopping router leaves runs in Docker containers, because the containers outlive this process and the
    // next router takes the runs over.
    leavesRuns: read.optionalText("AIRLOCK_DRIVER") === "docker",
  }),
  start: (site, settings, log) => startRouter(embeddedRouterConfig(site, settings), log),
};

/**
 * The configuration of a router that runs in one process with the other services. `site` gives the addresses
 * of these services and the directory of the router's TLS certificates.
 */
export function embeddedRouterConfig(site: EmbeddedSite, settings: RouterSettings): RouterConfig {
  return {
    ...settings,
    listen: site.address("router"),
    poolManagerAddress: site.address("pool-manager"),
    sanitizerAddress: site.address("sanitizer"),
    egressAddress: site.address("egress"),
    authorityAddress: site.address("authority"),
    tlsDirectory: site.tlsDirectoryOf("router"),
  };
}
