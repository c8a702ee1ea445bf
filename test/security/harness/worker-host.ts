import type { TestAirlock, TestAirlockOptions } from "../../harness/airlock.ts";
import type { Traces } from "./traces.ts";

/** The host of the workers of an Airlock under attack: this machine or containers. */
export type WorkerHost = {
  /** A line that every project file gets; empty means none. */
  readonly line: string;
  start(options: TestAirlockOptions): Promise<HostedAirlock>;
};

/** A running Airlock, and what a test can see of its workers from outside. */
export type HostedAirlock = {
  readonly airlock: Omit<TestAirlock, "restart">;
  /** Everything that no script may end: ids of Airlock's processes, or of its workers' containers. */
  longLived(): Promise<readonly (number | string)[]>;
  /** How many entries of `longLived` one worker has. */
  readonly ofWorker: number;
  /** IP addresses on which workers listen; empty where they use Unix sockets. */
  addresses(): Promise<string[]>;
  /** Counts what a script of the project might leave behind, also in `directories` of this machine. */
  traces(project: string, directories: readonly string[]): Promise<Traces>;
};
