import type { components } from "../gen/openapi.ts";
import { memberText } from "./exact-text.ts";

type Described = components["schemas"]["Execution"];

/** An execution as the gateway described it in an answer, with the exact text of that answer. */
export type Execution = Described & {
  /** The body of the gateway's answer, as it was sent. */
  readonly json: string;
  /**
   * The JSON text of `result`, with every digit that the script gave. `result` itself is a JavaScript value: large
   * integers are rounded in it, and 1.0 is 1.
   */
  readonly resultJson: string;
  /** The JSON text of `memory_updates`, with every digit that the script gave. */
  readonly memoryUpdatesJson: string;
};

// The getters of `resultJson` and `memoryUpdatesJson`. They are not enumerable, so that comparing, copying
// and printing an execution show only the members that the gateway sent.
const EXACT = {
  resultJson: {
    get(this: Execution) {
      return memberText(this.json, "result") ?? "null";
    },
  },
  memoryUpdatesJson: {
    get(this: Execution) {
      return memberText(this.json, "memory_updates") ?? "{}";
    },
  },
};

/** Reads an execution from the body of an answer. Throws a SyntaxError when that is no JSON. */
export function parseExecution(json: string): Execution {
  const execution: Described = JSON.parse(json);
  return Object.defineProperties(execution, { json: { value: json }, ...EXACT }) as Execution;
}

/** Whether the execution has its final status. */
export function hasEnded({ status }: Pick<Execution, "status">): boolean {
  return status === "completed" || status === "error" || status === "timeout";
}

/**
 * Whether the execution has ended or waits for a response to an llm request. Polling alone then changes
 * nothing.
 */
export function isSettled({ status }: Pick<Execution, "status">): boolean {
  return status !== "pending" && status !== "running";
}
