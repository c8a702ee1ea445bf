import { createHealthCheck } from "#common/grpc/health.ts";
import type { ServiceIdentity } from "#common/identity/identity.ts";
import { openTlsIdentity } from "#common/identity/tls-identity.ts";
import { readEnvironment } from "#common/service/environment.ts";
import { resolveListenAddress } from "#common/service/listen-address.ts";
import { createLog } from "#common/service/log.ts";

/**
 * Command for a container's health check: `node services/health-probe.ts NAME`. It runs with the environment
 * of the service NAME and asks that service for its health over mutual TLS, as every caller does. Exits with
 * 1 and prints the reason when the service does not serve.
 */
const name = process.argv[2] as ServiceIdentity;
const read = readEnvironment(process.env);
const listen = read.text("AIRLOCK_LISTEN");
const tlsDirectory = read.text("AIRLOCK_TLS_DIR");
read.check();
const tls = await openTlsIdentity(
  tlsDirectory,
  { kind: "service", name },
  createLog("health-probe", "error"),
);
const health = createHealthCheck(name, resolveListenAddress(listen), tls);
const { ready, detail } = await health.check();
health.close();
tls.close();
if (!ready) {
  process.stderr.write(`${detail}\n`);
  process.exitCode = 1;
}
