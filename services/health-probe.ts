import { createHealthCheck } from "#common/grpc/health.ts";
import type { ServiceIdentity } from "#common/identity/identity.ts";
import { openTlsIdentity } from "#common/identity/tls-identity.ts";
import { readEnvironment } from "#common/service/environment.ts";
import { resolveListenAddress } from "#common/service/listen-address.ts";
import { createLog } from "#common/service/log.ts";

/**
 * `node services/health-probe.ts NAME`, for a container's health check: asks the service of this name, whose
 * environment this is, over the same mutual TLS as everybody. Exits 1 with the reason when it does not serve.
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
