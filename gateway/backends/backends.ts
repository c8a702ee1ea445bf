import type { Dependency } from "#proto/readiness.ts";
import type { PoolManagerBackend } from "./pool-manager.ts";
import type { RouterBackend } from "./router.ts";

/** The services behind the gateway, each as a port of its own. */
export type Backends = {
  readonly router: RouterBackend;
  readonly poolManager: PoolManagerBackend;
  /** Every service behind the gateway, reachable or not; does not reject. */
  readiness(): Promise<Dependency[]>;
  close(): void;
};
