import { constants } from "node:os";
import type { Execution } from "#sdk/execution.ts";

// Patterns for the worker's error texts: of a script that exited by itself (script_ending.py), and of one that a
// signal killed (ending.py).
const EXITED = /^The script ended with exit status (-?\d+)\./;
const KILLED = /^The script's process was killed by (SIG\w+)/;

/**
 * The exit status that the command returns for the script: the script's own, 128 plus the number of the
 * signal that killed it, or 124 for a timeout as in timeout(1).
 */
export function exitStatusOf({
  status,
  end_reason: reason,
  error,
}: Pick<Execution, "status" | "end_reason" | "error">): number {
  if (status === "completed") return 0;
  if (status === "timeout") return 124;
  const exited = reason === "exit_nonzero" ? EXITED.exec(error ?? "")?.[1] : undefined;
  // A status that is 0 modulo 256 becomes 1, because 0 would mean success.
  if (exited !== undefined) return Number(exited) & 0xff || 1;
  const signal = reason === "killed" ? KILLED.exec(error ?? "")?.[1] : undefined;
  return signal && isSignal(signal) ? 128 + constants.signals[signal] : 1;
}

function isSignal(name: string): name is NodeJS.Signals {
  return Object.hasOwn(constants.signals, name);
}
