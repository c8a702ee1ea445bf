import type { ExecutionStore, StoredBytes } from "../store.ts";
import { DELETE_BYTES } from "../stored-bytes.ts";
import type { prepareStatements } from "./statements.ts";

type SizedRow = { readonly execution_id: string; readonly stored_bytes: number };

type Deletions = Pick<ExecutionStore, "deleteEndedBefore" | "deleteOldestEnded" | "countStoredBytes">;

/**
 * The store's functions that delete ended executions from SQLite and count stored bytes. A deletion blocks
 * this process while it runs, so each deletes at most 32 MiB.
 */
export function createSqliteDeletions(
  sql: ReturnType<typeof prepareStatements>,
  inTransaction: <T>(work: () => T) => T,
): Deletions {
  /**
   * Deletes executions from the front of `rows`, in one transaction, until at least `bytes` bytes are
   * deleted. Returns the number of deleted executions.
   */
  const deleteFirst = (rows: readonly SizedRow[], bytes: number): number => {
    const first = rows.slice(0, countUpTo(rows, bytes));
    if (first.length === 0) return 0;
    return inTransaction(() =>
      first.reduce((sum, row) => sum + Number(sql.delete.run(row.execution_id).changes), 0),
    );
  };
  return {
    async deleteEndedBefore(endedBeforeMs, limit) {
      return deleteFirst(sql.selectEndedBefore.all(endedBeforeMs, limit) as SizedRow[], DELETE_BYTES);
    },
    async deleteOldestEnded(project, keepBytes, limit) {
      const stored = sql.selectStoredBytesOf.get(project) as { bytes: number } | undefined;
      const excess = Math.min((stored?.bytes ?? 0) - keepBytes, DELETE_BYTES);
      const oldest = excess > 0 ? (sql.selectEndedOf.all(project, limit) as SizedRow[]) : [];
      return { removed: deleteFirst(oldest, excess), isBusy: false };
    },
    async countStoredBytes() {
      return (sql.selectStoredBytes.all() as StoredBytes[]).map(({ project, bytes }) => ({ project, bytes }));
    },
  };
}

/**
 * Counts how many rows, from the front, have at least `bytes` bytes together; all rows when they have fewer.
 */
function countUpTo(rows: readonly SizedRow[], bytes: number): number {
  let sum = 0;
  const last = rows.findIndex((row) => {
    sum += row.stored_bytes;
    return sum >= bytes;
  });
  return last < 0 ? rows.length : last + 1;
}
