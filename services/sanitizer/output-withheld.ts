import { AirlockError } from "#common/errors.ts";

/**
 * The error with which the sanitizer ends a session whose output it cannot search: no further output of the
 * session is sent on. `reason` completes the sentence "The output is withheld because …", which agents read.
 */
export function outputWithheld(reason: string, cause?: unknown): AirlockError {
  return new AirlockError("output_withheld", `The output is withheld because ${reason}.`, { cause });
}
