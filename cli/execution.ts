import { findNodeAtLocation, parseTree } from "jsonc-parser";

/** An execution as the service shows it. */
export type Execution = {
  readonly execution_id: string;
  readonly status: "pending" | "running" | "awaiting_llm" | "completed" | "error" | "timeout";
  readonly stdout: string;
  readonly stderr: string;
  readonly error: string | null;
  readonly end_reason?: string | null;
  readonly llm_request: { readonly id: string; readonly prompt: string; readonly model: string } | null;
  readonly truncated?: { readonly stdout: number; readonly stderr: number };
};

export function hasEnded({ status }: Execution): boolean {
  return status === "completed" || status === "error" || status === "timeout";
}

/** What a shell expects of a command that ended so; 124 is what timeout(1) gives. */
export function exitStatusOf({ status }: Execution): number {
  switch (status) {
    case "completed":
      return 0;
    case "timeout":
      return 124;
    default:
      return 1;
  }
}

/** The result exactly as it stands in the service's answer; undefined when it is null. */
export function resultText(body: string): string | undefined {
  const tree = parseTree(body);
  const result = tree && findNodeAtLocation(tree, ["result"]);
  return !result || result.type === "null"
    ? undefined
    : body.slice(result.offset, result.offset + result.length);
}
