import { openDatabase } from "#common/database/open.ts";
import { checkDatabase } from "#common/database/readiness.ts";
import { openEdges } from "#common/grpc/edges.ts";
import { startGrpcServer } from "#common/grpc/server.ts";
import { createCircuits } from "#common/resilience/circuits.ts";
import { systemClock } from "#common/resilience/clock.ts";
import { createDrain } from "#common/service/drain.ts";
import type { Log } from "#common/service/log.ts";
import { type RunningService, runService } from "#common/service/run-service.ts";
import { AuthorityServiceService } from "#proto/authority.ts";
import { createChanges } from "./changes.ts";
import { type AuthorityConfig, readAuthorityConfig } from "./config.ts";
import { ensureAdmin } from "./first-admin.ts";
import { authorityHandlers } from "./handlers.ts";
import { createKeys } from "./keys/keys.ts";
import { createAuthorityStore } from "./store/sql-store.ts";
import { AUTHORITY_TABLES } from "./store/tables.ts";

/**
 * Starts the authority, the only service that says who a client is: it keeps principals and API keys, and
 * holds no secret of a project.
 */
export async function startAuthority(config: AuthorityConfig, log: Log): Promise<RunningService> {
  const circuits = createCircuits("airlock_authority", systemClock, log);
  const db = await openDatabase(config.database, AUTHORITY_TABLES, circuits, systemClock, log);
  const store = createAuthorityStore(db);
  if (config.auth === "required") await ensureAdmin(store, config.adminKey, systemClock, log);
  const edges = await openEdges("authority", config, log);
  const drain = createDrain();
  const keys = createKeys(store, systemClock, log);
  const changes = createChanges(store, systemClock, drain);
  const server = await startGrpcServer(
    config.listen,
    [[AuthorityServiceService, authorityHandlers(keys, changes, log)]],
    edges.tls,
    async () => [await checkDatabase(db, systemClock)],
  );
  return {
    address: server.address,
    registry: circuits.registry,
    async drain(graceMs) {
      drain.begin();
      await server.drain(graceMs);
      edges.close();
      await store.close();
    },
  };
}

if (import.meta.main) await runService("authority", readAuthorityConfig, startAuthority);
