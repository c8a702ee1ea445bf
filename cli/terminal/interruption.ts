import { constants } from "node:os";
import { whenOutputCloses } from "./closed-output.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** A request to end the command before its work is done. */
export type Interruption = {
  readonly signal: AbortSignal;
  /** The exit status for the interruption; undefined when there was none. */
  exitStatus(): number | undefined;
};

/**
 * Watches for Ctrl-C, SIGTERM, a closed terminal and a closed output; each aborts the signal. A second signal
 * ends the process at once.
 */
export function watchForInterruption(): Interruption {
  const abort = new AbortController();
  let exitStatus: number | undefined;
  const interrupt = (status: number) => {
    exitStatus ??= status;
    abort.abort();
  };
  for (const name of SIGNALS) {
    process.on(name, () => {
      const status = 128 + constants.signals[name];
      if (abort.signal.aborted) process.exit(status);
      interrupt(status);
    });
  }
  whenOutputCloses(interrupt);
  return { signal: abort.signal, exitStatus: () => exitStatus };
}
