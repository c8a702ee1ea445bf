import type { Dependency } from "#proto/readiness.ts";
import type { AuthorityBackend } from "./authority.ts";
import type { PoolManagerBackend } from "./pool-manager.ts";
import type { RouterBackend } from "./router.ts";

/** The services that the gateway calls, each behind an interface of its own. */
export type Backends = {
  readonly router: RouterBackend;
  readonly poolManager: PoolManagerBackend;
  readonly authority: AuthorityBackend;
  /**
   * Whether some of the services are called over a network, where they believe a principal only by its pass.
   */
  readonly needsPasses: boolean;
  /**
   * Asks every service that the gateway depends on whether it is ready; an unreachable one counts as not
   * ready. Never rejects.
   */
  readiness(): Promise<Dependency[]>;
  close(): void;
};
