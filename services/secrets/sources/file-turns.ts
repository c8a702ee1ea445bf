import type { Clock } from "#common/resilience/clock.ts";
import { UnresolvedSecret } from "./source.ts";

/**
 * Limits how many calls of file systems are under way. A file system that hangs, as one of a network does,
 * never gives back the thread of the call, and Node has four such threads for the whole process.
 */
export type FileTurns = {
  /**
   * Calls `work` when no other call is under way in `directory`, and fewer than `MAX_CALLS` in all. Rejects
   * with a transient UnresolvedSecret when `work` has not ended after `withinMs`; it then keeps its turn until
   * it ends.
   */
  run<T>(directory: string, withinMs: number, clock: Clock, work: () => Promise<T>): Promise<T>;
};

/** The other two threads stay free for project files, the database and all else. */
const MAX_CALLS = 2;

export function createFileTurns(): FileTurns {
  const inside = new Set<string>();
  const waiting = new Map<() => void, string>();

  const advance = () => {
    for (const [begin, directory] of waiting) {
      if (inside.size >= MAX_CALLS) return;
      if (inside.has(directory)) continue;
      waiting.delete(begin);
      inside.add(directory);
      begin();
    }
  };

  return {
    async run(directory, withinMs, clock, work) {
      const late = Promise.withResolvers<never>();
      const turn = Promise.withResolvers<void>();
      const begin = () => turn.resolve();
      const stopTimer = clock.after(withinMs, () => {
        waiting.delete(begin);
        const reason = "its file system does not answer, or another one on which secrets lie";
        late.reject(new UnresolvedSecret(reason, { isPassing: true }));
      });
      waiting.set(begin, directory);
      advance();
      const done = turn.promise.then(work).finally(() => {
        inside.delete(directory);
        advance();
      });
      try {
        return await Promise.race([done, late.promise]);
      } finally {
        stopTimer();
        // A call that ends after its caller has gone may fail, too.
        done.catch(() => undefined);
      }
    },
  };
}
