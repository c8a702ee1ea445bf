import { openDatabase } from "#common/database/open.ts";
import { checkDatabase } from "#common/database/readiness.ts";
import { openEdges } from "#common/grpc/edges.ts";
import { createPassCheck } from "#common/grpc/pass-check.ts";
import { startGrpcServer } from "#common/grpc/server.ts";
import { createCircuits } from "#common/resilience/circuits.ts";
import { systemClock } from "#common/resilience/clock.ts";
import { createDrain } from "#common/service/drain.ts";
import type { Log } from "#common/service/log.ts";
import { type RunningService, runService } from "#common/service/run-service.ts";
import { AuthorityServiceService } from "#proto/authority.ts";
import type { Dependency } from "#proto/readiness.ts";
import { createAuthentication, createByGrants } from "./authentication.ts";
import { createChanges } from "./changes.ts";
import { type AuthorityConfig, readAuthorityConfig } from "./config.ts";
import { ensureAdmin } from "./first-admin.ts";
import { createGrants } from "./grants/grants.ts";
import { type GrantsFile, NO_GRANTS_FILE, openGrantsFile } from "./grants/grants-file.ts";
import { createMakers } from "./grants/makers.ts";
import { authorityHandlers } from "./handlers.ts";
import { createKeys } from "./keys/keys.ts";
import { createPasses } from "./passes/passes.ts";
import { createRequestCounts } from "./request-counts.ts";
import { createLogin } from "./sessions/login.ts";
import { createSessions } from "./sessions/sessions.ts";
import { createPassKeyStore } from "./store/pass-key-store.ts";
import { createGrantStore } from "./store/sql-grants.ts";
import { createSessionStore } from "./store/sql-sessions.ts";
import { createAuthorityStore } from "./store/sql-store.ts";
import { AUTHORITY_TABLES } from "./store/tables.ts";
import { acceptedIssuers } from "./tokens/settings.ts";
import { openTokens } from "./tokens/tokens.ts";

/**
 * Starts the authority, the only service that says who a client is: it keeps principals and API keys, and
 * holds no secret of a project.
 */
export async function startAuthority(config: AuthorityConfig, log: Log): Promise<RunningService> {
  const circuits = createCircuits("airlock_authority", systemClock, log);
  const db = await openDatabase(config.database, AUTHORITY_TABLES, circuits, systemClock, log);
  const store = createAuthorityStore(db);
  if (config.auth === "required") await ensureAdmin(store, config.adminKey, systemClock, log);
  const issuers = acceptedIssuers(config.tokens);
  const file =
    config.grantsFile === undefined
      ? NO_GRANTS_FILE
      : await openGrantsFile(config.grantsFile, issuers, systemClock, log, () => store.countChange());
  const tokens = await openTokens(config.tokens, systemClock, log);
  const edges = await openEdges("authority", config, log);
  const drain = createDrain();
  const grants = createGrants(file, createGrantStore(db), systemClock);
  const makers = createMakers(grants, store.findPrincipal);
  const keys = createKeys(store, makers, systemClock, log, config.rateLimits);
  const byGrants = createByGrants(grants, store);
  const sessions = createSessions(createSessionStore(db), { keys, byToken: byGrants }, systemClock, log);
  const login = createLogin(config.tokens.login, systemClock, log);
  const authentication = createAuthentication({ keys, sessions, tokens, byGrants }, config.auth, store);
  const changes = createChanges(store, systemClock, drain);
  const passes = createPasses(createPassKeyStore(db), systemClock, log);
  const requestCounts = createRequestCounts(systemClock);
  const parts = { authentication, keys, sessions, login, byGrants, grants, passes, changes, requestCounts };
  const server = await startGrpcServer(
    config.listen,
    [[AuthorityServiceService, authorityHandlers(parts, log)]],
    edges.tls,
    async () => [await checkDatabase(db, systemClock), ...readinessOf(file)],
    createPassCheck("authority", passes.keys, systemClock),
  );
  return {
    address: server.address,
    registry: circuits.registry,
    async drain(graceMs) {
      drain.begin();
      await server.drain(graceMs);
      edges.close();
      tokens.close();
      await file.close();
      await store.close();
    },
  };
}

/** A mistake in the file of grants stops nothing, because the grants stay as they were before it. */
function readinessOf(file: GrantsFile): Dependency[] {
  const detail = file.problem();
  return detail === undefined ? [] : [{ name: "grants", ready: true, detail }];
}

if (import.meta.main) await runService("authority", readAuthorityConfig, startAuthority);
