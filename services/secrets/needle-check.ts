import { createHash } from "node:crypto";
import { hasCode } from "#common/errors.ts";
import { ownerOf, Turn, takeTurns } from "#common/event-loop/turn.ts";
import { needleSteps } from "#common/redaction/needles/needles.ts";
import type { Secret } from "#common/secret.ts";
import { isBrokered } from "./brokered-secret.ts";

/** Bytes of values, all together, whose needles surely fit, so that they need not be made to find out. */
const SURE_BYTES = 16 * 1024;

/**
 * Checks before a script runs whether the sanitizer can search output for these secrets, because otherwise
 * the run's output would be withheld. Resolves to the sanitizer's own reason why not; undefined when it can.
 */
export type NeedleCheck = (project: string, secrets: readonly Secret[]) => Promise<string | undefined>;

/** Remembers the answer for the last values of each project, because making all needles may take a second. */
export function createNeedleCheck(): NeedleCheck {
  const known = new Map<string, { readonly values: string; readonly problem: Promise<string | undefined> }>();
  return async (project, secrets) => {
    const given = secrets.filter((secret) => !isBrokered(secret));
    const bytes = given.reduce((sum, secret) => sum + Buffer.byteLength(secret.reveal()), 0);
    if (bytes <= SURE_BYTES) {
      known.delete(project);
      return undefined;
    }
    const values = digestOf(given);
    const last = known.get(project);
    if (last?.values === values) return await last.problem;
    const problem = problemOf(project, given);
    known.set(project, { values, problem });
    return await problem;
  };
}

async function problemOf(project: string, secrets: readonly Secret[]): Promise<string | undefined> {
  const steps = needleSteps(
    secrets.map((secret) => secret.reveal()),
    secrets.map(({ name }) => name),
  );
  try {
    await takeTurns(steps, undefined, new Turn(ownerOf(project)));
    return undefined;
  } catch (error) {
    if (!hasCode(error, "output_withheld")) throw error;
    return "The project's secrets are together too large to be searched for in output. There is room for about 50 KB of values with many parts (YAML, JSON, lines of KEY=value), or for 200 KB of others; give the project only the secrets that its scripts need.";
  }
}

function digestOf(secrets: readonly Secret[]): string {
  const hash = createHash("sha256");
  for (const secret of secrets) hash.update(`${secret.name}\0${secret.reveal()}\0`);
  return hash.digest("base64");
}
