import { setImmediate } from "node:timers/promises";
import { AirlockError } from "../common/errors.ts";

/** Gives other work its turn in the middle of a long computation; rejects when nobody waits for it any more. */
export async function breathe(signal: AbortSignal): Promise<void> {
  await setImmediate();
  if (signal.aborted) throw new AirlockError("cancelled", "The call was cancelled.");
}
