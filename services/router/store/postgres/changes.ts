import type { ClientConfig } from "pg";
import { openNotices } from "#common/database/postgres/notices.ts";
import type { PostgresDatabase } from "#common/database/postgres/pool.ts";
import type { Clock } from "#common/resilience/clock.ts";
import { repeat } from "#common/resilience/repeat.ts";
import type { Log } from "#common/service/log.ts";
import { createChangeListeners } from "../change-listeners.ts";
import type { OwnChange } from "../store.ts";
import { LOOK } from "./statements.ts";

// The router asks the database this often for changes of which it received no notice, because another router
// died before it sent the notice, or because this router was not connected.
const LOOK_EVERY_MS = 5_000;
const CHANGES = "airlock_changes";
const CLAIMABLE = "airlock_claimable";
// The notice by which a router says that it listens. A router that is alone sends no notices, because each
// costs a round trip and nobody would hear it.
const ROUTERS = "airlock_routers";

/**
 * Tells listeners in this router about changes of executions: changes by this router at once, changes by
 * other routers when their notice arrives through the database, and changes without a notice by asking the
 * database every 5 s.
 */
export type Changes = {
  /** Calls `listener` after a change of the execution. The returned function removes the listener. */
  onChange(executionId: string, listener: (change?: OwnChange) => void): () => void;
  /**
   * Calls `listener` when another router says that there are executions to claim. The returned function
   * removes the listener.
   */
  onClaimable(listener: () => void): () => void;
  /**
   * Reports a change that this router made to an execution, to this router's listeners and to the other
   * routers.
   */
  changed(executionId: string, change: OwnChange): void;
  /** Tells this router's listeners that another router may have changed the execution. */
  changedElsewhere(executionId: string): void;
  /** Tells the other routers that there are executions that no router owns, so that they can claim them. */
  freed(): void;
  /**
   * Runs this router's heartbeat, which counts the other routers and the executions that it freed. Resolves
   * to the number of freed executions. While there are no other routers, none is told of changes.
   */
  countOthers(heartbeat: () => Promise<{ readonly freed: number; readonly others: number }>): Promise<number>;
  close(): Promise<void>;
};

export async function openChanges(
  db: PostgresDatabase,
  client: ClientConfig,
  routerId: string,
  clock: Clock,
  log: Log,
): Promise<Changes> {
  const executions = createChangeListeners();
  const claims = new Set<() => void>();
  let seen = new Map<string, string>();

  const look = async () => {
    const watched = executions.watched();
    if (watched.length === 0) return seen.clear();
    try {
      const rows = await db.rows<{ execution_id: string; state: string }>(LOOK, [watched]);
      const now = new Map(rows.map((row) => [row.execution_id, row.state]));
      const before = seen;
      seen = now;
      // The listener is also called for an execution that is looked at for the first time, because the
      // execution may have changed since its listener read it.
      for (const id of watched) if (now.get(id) !== before.get(id)) executions.tell(id);
    } catch (error) {
      log.debug({ err: error }, "changes could not be read");
    }
  };
  let hasOthers = true;
  // How many notices of other routers have arrived.
  let heard = 0;
  const hear = (handle: (id?: string) => void) => (id?: string) => {
    heard += 1;
    hasOthers = true;
    handle(id);
  };
  const channels = {
    [CHANGES]: hear((executionId = "") => executions.tell(executionId)),
    [CLAIMABLE]: hear(() => {
      for (const listener of [...claims]) listener();
    }),
    [ROUTERS]: hear(() => undefined),
  };
  let announce: () => void = () => undefined;
  const missed = () => {
    announce();
    void look();
  };
  const notices = await openNotices(client, routerId, { channels, missed }, clock, log);
  announce = () => notices.tell(ROUTERS);
  announce();
  const tell = (channel: string, executionId?: string) => {
    if (hasOthers) notices.tell(channel, executionId);
  };
  const stopLooking = repeat(LOOK_EVERY_MS, look, clock);
  return {
    onChange: executions.add,
    onClaimable(listener) {
      claims.add(listener);
      return () => void claims.delete(listener);
    },
    changed(executionId, change) {
      executions.tell(executionId, change);
      // Nothing at another router waits for a start.
      if (change.kind !== "started") tell(CHANGES, executionId);
    },
    changedElsewhere: (executionId) => executions.tell(executionId),
    freed: () => tell(CLAIMABLE),
    async countOthers(heartbeat) {
      const before = heard;
      const { freed, others } = await heartbeat();
      // A router that was heard meanwhile may have started after the database counted.
      if (others > 0 || heard === before) hasOthers = others > 0;
      return freed;
    },
    async close() {
      await stopLooking();
      await notices.close();
    },
  };
}
