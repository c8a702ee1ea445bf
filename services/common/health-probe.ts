import { readEnvironment } from "./environment.ts";
import { createHealthCheck } from "./grpc-health.ts";
import type { ServiceIdentity } from "./identity.ts";
import { resolveListenAddress } from "./listen-address.ts";
import { createLog } from "./log.ts";
import { openTlsIdentity } from "./tls-identity.ts";

/**
 * `node services/common/health-probe.ts NAME`, for a container's health check: asks the service of this name, whose
 * environment this is, over the same mutual TLS as everybody. Exits 1 with the reason when it does not serve.
 */
const name = process.argv[2] as ServiceIdentity;
const read = readEnvironment(process.env);
const listen = read.text("AIRLOCK_LISTEN");
const tlsDirectory = read.text("AIRLOCK_TLS_DIR");
read.check();
const tls = await openTlsIdentity(tlsDirectory, name, createLog("health-probe", "error"));
const health = createHealthCheck(name, resolveListenAddress(listen), tls);
const { ready, detail } = await health.check();
health.close();
tls.close();
if (!ready) {
  process.stderr.write(`${detail}\n`);
  process.exitCode = 1;
}
