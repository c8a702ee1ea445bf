import { AirlockError } from "#common/errors.ts";

/** The way this service fails: nothing leaves. `reason` follows "because" and is read by agents. */
export function outputWithheld(reason: string, cause?: unknown): AirlockError {
  return new AirlockError("output_withheld", `The output is withheld because ${reason}.`, { cause });
}
