import { constants } from "node:os";
import { findNodeAtLocation, parseTree } from "jsonc-parser";

/** An execution as the REST API returns it. */
export type Execution = {
  readonly execution_id: string;
  readonly status: "pending" | "running" | "awaiting_llm" | "completed" | "error" | "timeout";
  readonly stdout: string;
  readonly stderr: string;
  readonly error: string | null;
  readonly end_reason?: string | null;
  readonly llm_request: { readonly id: string; readonly prompt: string; readonly model: string } | null;
  readonly waiting_on?: { readonly detail: string } | null;
  readonly truncated?: { readonly stdout: number; readonly stderr: number };
};

export function hasEnded({ status }: Execution): boolean {
  return status === "completed" || status === "error" || status === "timeout";
}

// Patterns for the worker's error texts: of a script that exited by itself (report.py), and of one that a
// signal killed (verdict.py).
const EXITED = /^The script ended with exit status (-?\d+)\./;
const KILLED = /^The script's process was killed by (SIG\w+)/;

/**
 * The exit status that the command returns for the script: the script's own, 128 plus the number of the
 * signal that killed it, or 124 for a timeout as in timeout(1).
 */
export function exitStatusOf({ status, end_reason: reason, error }: Execution): number {
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

/** The text of a member exactly as it stands in the JSON `body`; undefined when it is null or absent. */
export function memberText(body: string, name: string): string | undefined {
  const tree = parseTree(body);
  const member = tree && findNodeAtLocation(tree, [name]);
  return !member || member.type === "null"
    ? undefined
    : body.slice(member.offset, member.offset + member.length);
}
