import { constants } from "node:os";
import { whenOutputCloses } from "./closed-output.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** That the command is to end before its work is done. */
export type Interruption = {
  readonly signal: AbortSignal;
  /** The exit status that tells a shell of it; undefined while nothing has interrupted. */
  exitStatus(): number | undefined;
};

/**
 * Aborts at Ctrl-C, at SIGTERM, when the terminal is closed, and when the reader of the output is gone. A second signal ends
 * the process at once.
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
