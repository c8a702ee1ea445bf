/** What a user would pick instead of Airlock. */
export type Contender = {
  readonly name: string;
  /** Runs one script to its end and sees what it printed. */
  run(code: string): Promise<void>;
  /** Whether many can run at once; one that cannot queues them. */
  readonly parallel: boolean;
  close(): Promise<void>;
};
