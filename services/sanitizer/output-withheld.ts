import { AirlockError } from "#common/errors.ts";

/**
 * The error with which the sanitizer fails: no output is sent on. `reason` follows the word "because" and is
 * read by agents.
 */
export function outputWithheld(reason: string, cause?: unknown): AirlockError {
  return new AirlockError("output_withheld", `The output is withheld because ${reason}.`, { cause });
}
