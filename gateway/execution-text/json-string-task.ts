import { handBack, type Task } from "#common/event-loop/background-thread.ts";
import { escapeBytes } from "./json-string-bytes.ts";

/** Runs on the background thread: escapes one piece of a long text. */
export default function escapeTask({ input }: Task<Uint8Array>): { readonly bytes: Uint8Array } {
  return handBack({ bytes: escapeBytes(input) });
}
