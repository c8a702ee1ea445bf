import { AirlockError, ERROR_RULES, type ErrorCode } from "#common/errors.ts";
import { playOf } from "./play.ts";

const MAX_SCRIPTS = 1_000;

/**
 * Refuses a submission as often as a comment in its script asks for. Submissions of the same script text are
 * counted together.
 */
export function createMockRefusals(): (code: string) => void {
  const counts = new Map<string, number>();
  return (code) => {
    const { refusal } = playOf(code);
    if (!refusal) return;
    const before = counts.get(code) ?? 0;
    if (refusal.times !== undefined && before >= refusal.times) return;
    counts.delete(code);
    counts.set(code, before + 1);
    for (const oldest of counts.keys()) {
      if (counts.size <= MAX_SCRIPTS) break;
      counts.delete(oldest);
    }
    throw new AirlockError(refusal.code, sentenceFor(refusal.code));
  };
}

function sentenceFor(code: ErrorCode): string {
  return `${ERROR_RULES[code].title}: the script asked the mock to say so. Send the same request again after the seconds in Retry-After.`;
}
