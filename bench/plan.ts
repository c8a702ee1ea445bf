import type { StackName } from "./stacks/stack.ts";

/** The amount of measurement. A smaller plan gives the same figures with a larger spread. */
export type Plan = {
  readonly name: "full" | "quick" | "guard";
  readonly stacks: readonly StackName[];
  /** Whether other ways to run scripts are measured too, such as `docker run`. */
  readonly contenders: boolean;
  /** Whether projects in Docker are measured with pandas too. */
  readonly pandasInContainers: boolean;
  readonly rounds: number;
  /** Executions in one round of a latency measurement. */
  readonly perRound: number;
  /** Executions in one round of a subject that takes a quarter of a second for each, such as `docker run`. */
  readonly perSlowRound: number;
  readonly bursts: number;
  readonly clients: readonly number[];
  readonly throughputMs: number;
  readonly throughputRounds: number;
  readonly pausedCounts: readonly number[];
  readonly outputRounds: number;
  readonly starts: number;
  readonly sanitizerMb: number;
  readonly storedExecutions: number;
};

export const BURST = 50;
/** The number of clients for which the design and the guard set limits. */
export const TARGET_CLIENTS = 16;

export const PLANS: Readonly<Record<Plan["name"], Plan>> = {
  full: {
    name: "full",
    stacks: ["embedded", "postgres", "docker"],
    contenders: true,
    pandasInContainers: true,
    rounds: 15,
    perRound: 20,
    perSlowRound: 2,
    bursts: 5,
    clients: [1, 4, TARGET_CLIENTS, 64],
    throughputMs: 2_000,
    throughputRounds: 5,
    pausedCounts: [10, 100, 1_000, 2_500, 5_000],
    outputRounds: 9,
    starts: 9,
    sanitizerMb: 64,
    storedExecutions: 1_000_000,
  },
  quick: {
    name: "quick",
    stacks: ["embedded", "postgres", "docker"],
    contenders: true,
    pandasInContainers: false,
    rounds: 4,
    perRound: 8,
    perSlowRound: 1,
    bursts: 2,
    clients: [1, TARGET_CLIENTS],
    throughputMs: 500,
    throughputRounds: 2,
    pausedCounts: [10, 50],
    outputRounds: 3,
    starts: 3,
    sanitizerMb: 16,
    storedExecutions: 100_000,
  },
  guard: {
    name: "guard",
    stacks: ["embedded"],
    contenders: false,
    pandasInContainers: false,
    rounds: 9,
    perRound: 15,
    perSlowRound: 1,
    bursts: 3,
    clients: [TARGET_CLIENTS],
    throughputMs: 1_500,
    throughputRounds: 3,
    pausedCounts: [20],
    outputRounds: 3,
    starts: 5,
    sanitizerMb: 16,
    storedExecutions: 100_000,
  },
};
