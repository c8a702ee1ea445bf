import { handBack, type Task } from "#common/event-loop/background-thread.ts";

export type EchoTask = { readonly bytes: Uint8Array; readonly end?: "throw" | "exit" };

/** Gives the bytes back, or fails as it is told. */
export default function echo({ input: { bytes, end } }: Task<EchoTask>): { readonly bytes: Uint8Array } {
  if (end === "throw") throw new Error("as told");
  if (end === "exit") process.exit(1);
  return handBack({ bytes });
}
