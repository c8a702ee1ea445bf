import type { TestAirlock, TestAirlockOptions } from "../../harness/airlock.ts";
import type { Traces } from "./traces.ts";

/** Where the workers of a real service run. */
export type Place = {
  /** A line of every project file; may be empty. */
  readonly line: string;
  start(options: TestAirlockOptions): Promise<PlacedAirlock>;
};

/** The service, and what can be seen of its workers from outside. */
export type PlacedAirlock = {
  readonly airlock: Omit<TestAirlock, "restart">;
  /** What no script may end, by number or id: the service's own processes, or the containers of its workers. */
  longLived(): Promise<readonly (number | string)[]>;
  /** How many of those one worker is. */
  readonly ofWorker: number;
  /** Addresses on which workers listen. */
  addresses(): Promise<string[]>;
  /** What a script of the project might leave; in `directories` of this machine too. */
  traces(project: string, directories: readonly string[]): Promise<Traces>;
};
