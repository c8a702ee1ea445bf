import { createHash } from "node:crypto";
import { hasCode } from "#common/errors.ts";
import { ownerOf, Turn, takeTurns } from "#common/event-loop/turn.ts";
import { needleSteps } from "#common/redaction/needles/needles.ts";
import type { Secret } from "#common/secret.ts";
import { isBrokered } from "./brokered-secret.ts";

/**
 * Bytes of a project's secret values together, up to which no check is needed, because the needles (the forms
 * that the sanitizer searches for) of so few bytes always fit into its limits.
 */
const SURE_BYTES = 16 * 1024;

/**
 * Checks whether the sanitizer can search output for all of a project's secret values, because it would
 * otherwise withhold the output of the project's runs. Both functions resolve to a sentence for the operator
 * that says why it cannot; undefined when it can.
 */
export type NeedleCheck = {
  /** Checks the values that a worker is about to be given. A script's start waits for this check. */
  beforeRun(project: string, secrets: readonly Secret[]): Promise<string | undefined>;
  /**
   * Checks the values that a project file names, to report a problem before any script is started. Such a
   * check is made only while no script's start waits for a check.
   */
  ofFile(project: string, secrets: readonly Secret[]): Promise<string | undefined>;
};

type Check = {
  readonly values: string;
  readonly problem: Promise<string | undefined>;
  readonly make: () => Promise<void>;
  /** Whether the start of a script waits for this check; such checks are made first. */
  isUrgent: boolean;
};

/**
 * The result for the last values of each project is remembered, because making all needles of large values
 * may take a second. Checks are made one after the other, because of many at the same time each would end
 * late.
 */
export function createNeedleCheck(): NeedleCheck {
  const known = new Map<string, Check>();
  const waiting: Check[] = [];
  let isWorking = false;

  const work = async () => {
    if (isWorking) return;
    isWorking = true;
    while (waiting.length > 0) {
      const urgent = waiting.findIndex(({ isUrgent }) => isUrgent);
      const [next] = waiting.splice(Math.max(urgent, 0), 1);
      await next?.make();
    }
    isWorking = false;
  };

  const newCheck = (project: string, given: readonly Secret[], values: string): Check => {
    const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
    const make = () => problemOf(project, given).then(resolve, reject);
    const check = { values, problem: promise, make, isUrgent: false };
    waiting.push(check);
    return check;
  };

  /**
   * Checks the values, or returns the check of equal values that is known already: the runs of a project and
   * its file mostly have the same values. `slot` is the name under which the check is remembered.
   */
  const checked = async (slot: string, project: string, secrets: readonly Secret[], isUrgent: boolean) => {
    const given = secrets.filter((secret) => !isBrokered(secret));
    const bytes = given.reduce((sum, secret) => sum + Buffer.byteLength(secret.reveal()), 0);
    if (bytes <= SURE_BYTES) {
      known.delete(slot);
      return undefined;
    }
    const values = digestOf(given);
    const check =
      [...known.values()].find((each) => each.values === values) ?? newCheck(project, given, values);
    known.set(slot, check);
    check.isUrgent ||= isUrgent;
    void work();
    return await check.problem;
  };
  return {
    beforeRun: (project, secrets) => checked(`runs of ${project}`, project, secrets, true),
    ofFile: (project, secrets) => checked(`file of ${project}`, project, secrets, false),
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
    return "The project's secrets are together too large to be searched for in output. There is room for about 75 KB of values with many parts (YAML, JSON, lines of KEY=value), or for 250 KB of others; give the project only the secrets that its scripts need.";
  }
}

function digestOf(secrets: readonly Secret[]): string {
  const hash = createHash("sha256");
  for (const secret of secrets) hash.update(`${secret.name}\0${secret.reveal()}\0`);
  return hash.digest("base64");
}
