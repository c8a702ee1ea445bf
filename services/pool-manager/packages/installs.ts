import { availableParallelism } from "node:os";
import { AirlockError } from "#common/errors.ts";
import { systemClock } from "#common/resilience/clock.ts";
import { createTurns } from "../turns.ts";

const MAX_AT_ONCE = Math.max(2, availableParallelism());

/**
 * Runs `install`, which installs the packages of one project, while at most MAX_AT_ONCE installations run. An
 * installation does not count any more after 5 s (TURN_COUNTS_MS), so that a slow one does not block those of
 * other projects. Rejects with `cancelled` when `signal` aborted before the installation began.
 */
export type Installs = <T>(
  onProgress: (step: string) => void,
  signal: AbortSignal,
  install: () => Promise<T>,
) => Promise<T>;

export function createInstalls(): Installs {
  const turns = createTurns<undefined>({ mayEnter: (_, inside) => inside.length < MAX_AT_ONCE }, systemClock);
  return async (onProgress, signal, install) => {
    onProgress("waiting for other projects whose packages are being installed");
    const leave = await turns.enter(undefined);
    try {
      if (signal.aborted) throw new AirlockError("cancelled", "The pool is stopping.");
      return await install();
    } finally {
      leave();
    }
  };
}
