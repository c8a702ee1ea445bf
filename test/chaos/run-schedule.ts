import type { Client, Witness } from "./client.ts";
import { type Deed, type Fault, strike, type Target } from "./faults.ts";
import { AS_WRITTEN, endingOf } from "./judgement.ts";
import { seededRandom } from "./random.ts";
import { KINDS, type ScriptWorld, scriptOf } from "./scripts.ts";
import type { Stage } from "./stage.ts";

export type Score = {
  readonly seed: number;
  /** The faults go round until as many have ended, at least once. */
  readonly executions: number;
  readonly deck: readonly { readonly deed: Deed; readonly target: Target }[];
  /** From one fault to the next. */
  readonly faultEveryMs: readonly [number, number];
  readonly world: ScriptWorld;
};

// At the same time: more than there are workers, so that some always wait.
const CLIENTS = 16;
// Before a fault all is back that was struck before the last few: a busy machine would never get up between two faults.
const AWAY_AT_ONCE = 3;
// Who comes first is served, so that there are workers to be struck, and so is who comes afterwards: the pool is started
// anew of a pool-manager that died last and found no worker.
const ONE_OF_EACH_PROJECT = ["quick", "calls"] as const;
const HEALED_AFTER_MS = 60_000;

/** Somebody who is not disturbed; then clients and faults at the same time, until both have had enough; then as at first. */
export async function play(
  { seed, executions, deck, faultEveryMs, world }: Score,
  stage: Stage,
  client: Client,
): Promise<{ witnesses: Witness[]; faults: Fault[] }> {
  const witnesses: Witness[] = [];
  const faults: Fault[] = [];
  let isOver = false;
  let wasRound = false;
  let next = 0;
  const submit = async () => {
    while (next < executions || !wasRound) {
      const n = next++;
      const random = seededRandom(seed, n + 1);
      witnesses.push(await client.run(n, scriptOf(random.pick(KINDS), n, random, world), random));
    }
  };
  const destroy = async () => {
    const random = seededRandom(seed, 0);
    const thaws: Promise<void>[] = [];
    while (!isOver) {
      for (const deed of random.shuffle(deck)) {
        await new Promise((resolve) => setTimeout(resolve, random.between(...faultEveryMs)));
        await thaws.at(-AWAY_AT_ONCE);
        const struck = isOver ? undefined : await strike(deed, stage, random, () => isOver);
        if (!struck) break;
        const { fault, thawed } = struck;
        thaws.push(thawed);
        faults.push(fault);
        if (process.env.AIRLOCK_CHAOS_VERBOSE) {
          process.stdout.write(
            `${new Date(fault.atMs).toISOString()} ${fault.deed} ${fault.target}, ${witnesses.length} ended\n`,
          );
        }
        // Two at once are enough of postgres.
        if (deed.target === "postgres") await thawed;
      }
      wasRound = true;
    }
    await Promise.all(thaws);
  };
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
  // Whichever fails first: without faults the clients would go on for ever.
  await Promise.all([submitted, destroy()]);
  await Promise.all(ONE_OF_EACH_PROJECT.map(serve));
  return { witnesses, faults };
}
