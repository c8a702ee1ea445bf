import type { Count, CountAnswer } from "../backends/authority.ts";

/** Counters that all gateways share. */
export type CountStore = {
  /** The store's name for the log. */
  readonly name: string;
  /**
   * Adds the requests, and resolves to what each counter then stands at, in the same order. Rejects within some
   * seconds when the store does not answer. An empty list only asks whether it answers.
   */
  add(counts: readonly Count[]): Promise<CountAnswer>;
  close(): void;
};
