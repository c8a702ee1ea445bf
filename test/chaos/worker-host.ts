import type { Deed, Target } from "./faults.ts";
import type { Causes } from "./judgement.ts";
import type { KeptService } from "./kept-service.ts";
import type { Random } from "./random.ts";

/** Where the workers of a stage are: as what they run, and how they are seen and struck from outside. */
export type Place = {
  /** What it needs to run; started before every service of Airlock, stopped after all of them. */
  readonly services: ReadonlyMap<string, KeptService>;
  /** What can be struck here only. */
  readonly targets: readonly Target[];
  /** What may end an execution here that did nothing wrong. */
  readonly causes: Causes;
  /** What a service of Airlock is told because of it. */
  environmentOf(service: string): Readonly<Record<string, string>>;
  /** The supervisors of the workers that live. */
  supervisors(): Promise<number[]>;
  /** Strikes a target that is no process, if one is there: resolves to the end of it. */
  strike(deed: Deed, target: Target, random: Random): Promise<{ thawed: Promise<void> } | undefined>;
  /** All that there is of workers, in numbers. */
  census(): Promise<Readonly<Record<string, number>>>;
  /** What the census has to say when so many workers are idle, and no more. */
  expected(workers: Readonly<Record<string, number>>): Readonly<Record<string, number>>;
  /** Removes what is left of it. */
  remove(): Promise<void>;
};

/** `poolManager`: its process, while it has one. */
export type OpenPlace = (directory: string, poolManager: () => number | undefined) => Promise<Place>;
