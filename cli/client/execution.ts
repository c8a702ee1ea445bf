import { constants } from "node:os";
import type { Execution } from "#sdk/execution.ts";

// Matches the error text of an execution whose script exited by itself. The worker writes this text
// (script_ending.py).
const EXITED = /^The script ended with exit status (-?\d+)\./;
/**
 * Matches the error text of an execution whose script a signal killed. The worker writes this text
 * (ending.py).
 */
const KILLED = /^The script's process was killed by (SIG\w+)/;

/**
 * The exit status of `./airlock run` for an execution that has ended: 0 when it completed, 124 for a timeout
 * as in timeout(1), the exit status of the script itself, 128 plus the number of the signal that killed the
 * script, and otherwise 1.
 */
export function exitStatusOf({
  status,
  end_reason: reason,
  error,
}: Pick<Execution, "status" | "end_reason" | "error">): number {
  if (status === "completed") return 0;
  if (status === "timeout") return 124;
  const exited = reason === "exit_nonzero" ? EXITED.exec(error ?? "")?.[1] : undefined;
  // The system keeps only the low eight bits of an exit status. A script's status whose low bits are 0
  // becomes 1, because 0 would mean success.
  if (exited !== undefined) return Number(exited) & 0xff || 1;
  const signal = reason === "killed" ? KILLED.exec(error ?? "")?.[1] : undefined;
  return signal && isSignal(signal) ? 128 + constants.signals[signal] : 1;
}

function isSignal(name: string): name is NodeJS.Signals {
  return Object.hasOwn(constants.signals, name);
}
