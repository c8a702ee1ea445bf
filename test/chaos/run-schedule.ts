import type { ChaosHarness } from "./chaos-harness.ts";
import type { Client, Witness } from "./client.ts";
import { type Fault, injectFault, type PlannedFault } from "./faults.ts";
import { AS_WRITTEN, endingOf } from "./judgement.ts";
import { seededRandom } from "./random.ts";
import { KINDS, type ScriptWorld, scriptOf } from "./scripts.ts";

/** A chaos run: how many executions are submitted, and which faults are injected meanwhile. */
export type Schedule = {
  /** Seed of all random choices. */
  readonly seed: number;
  /** Rounds of faults go on until this many executions were submitted; there is at least one round. */
  readonly executions: number;
  /** The faults of one round, in any order. */
  readonly faults: readonly PlannedFault[];
  /** Least and most milliseconds between two faults. */
  readonly faultEveryMs: readonly [number, number];
  readonly world: ScriptWorld;
};

// Clients that submit at the same time: more than there are workers, so that some executions always wait.
const CLIENTS = 16;
// At most so many targets are away at once, because a busy machine would never recover between two faults.
const AWAY_AT_ONCE = 3;
// One execution per project completes before the faults, so that there are workers to hit, and one after them, because
// the pool of a pool-manager that died last and found no worker has to be started again.
const ONE_OF_EACH_PROJECT = ["quick", "calls"] as const;
const HEALED_AFTER_MS = 60_000;

/**
 * Runs one execution per project without faults, then clients and faults together until the schedule is done, then
 * again one execution per project. Resolves with all executions and faults.
 */
export async function runSchedule(
  { seed, executions, faults: planned, faultEveryMs, world }: Schedule,
  harness: ChaosHarness,
  client: Client,
): Promise<{ witnesses: Witness[]; faults: Fault[] }> {
  const witnesses: Witness[] = [];
  const faults: Fault[] = [];
  let isOver = false;
  let isRoundDone = false;
  let next = 0;
  const submit = async () => {
    while (next < executions || !isRoundDone) {
      const n = next++;
      const random = seededRandom(seed, n + 1);
      witnesses.push(await client.run(n, scriptOf(random.pick(KINDS), n, random, world), random));
    }
  };
  const injectFaults = async () => {
    const random = seededRandom(seed, 0);
    const resumptions: Promise<void>[] = [];
    while (!isOver) {
      for (const fault of random.shuffle(planned)) {
        await new Promise((resolve) => setTimeout(resolve, random.between(...faultEveryMs)));
        await resumptions.at(-AWAY_AT_ONCE);
        const injected = isOver ? undefined : await injectFault(fault, harness, random, () => isOver);
        if (!injected) break;
        const { fault: done, resumed } = injected;
        resumptions.push(resumed);
        faults.push(done);
        if (process.env.AIRLOCK_CHAOS_VERBOSE) {
          process.stdout.write(
            `${new Date(done.atMs).toISOString()} ${done.action} ${done.target}, ${witnesses.length} ended\n`,
          );
        }
        // No other fault starts while PostgreSQL is away.
        if (fault.target === "postgres") await resumed;
      }
      isRoundDone = true;
    }
    await Promise.all(resumptions);
  };
  /** Submits until an execution of this kind ends as its script says; rejects after HEALED_AFTER_MS. */
  const serve = async (kind: (typeof KINDS)[number]) => {
    const until = Date.now() + HEALED_AFTER_MS;
    for (;;) {
      const n = next++;
      const random = seededRandom(seed, n + 1);
      const witness = await client.run(n, scriptOf(kind, n, random, world), random);
      witnesses.push(witness);
      if (endingOf(witness) === AS_WRITTEN) return;
      if (Date.now() > until) throw new Error(`${kind} scripts do not run any more: ${witness.body}`);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  };
  await Promise.all(ONE_OF_EACH_PROJECT.map(serve));
  const submitted = Promise.all(Array.from({ length: CLIENTS }, submit)).finally(() => {
    isOver = true;
  });
  // Rejects with the first failure of either, because clients without faults would submit for ever.
  await Promise.all([submitted, injectFaults()]);
  await Promise.all(ONE_OF_EACH_PROJECT.map(serve));
  return { witnesses, faults };
}
