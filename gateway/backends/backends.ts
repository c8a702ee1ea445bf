import type { Dependency } from "#proto/readiness.ts";
import type { PoolManagerBackend } from "./pool-manager.ts";
import type { RouterBackend } from "./router.ts";

/** The services that the gateway calls, each behind an interface of its own. */
export type Backends = {
  readonly router: RouterBackend;
  readonly poolManager: PoolManagerBackend;
  /** The readiness of every service that the gateway depends on, also of unreachable ones. Never rejects. */
  readiness(): Promise<Dependency[]>;
  close(): void;
};
