/** A way to run scripts that a user could choose instead of Airlock. */
export type Contender = {
  readonly name: string;
  /** Runs one script and waits until it has ended and its output has arrived. */
  run(code: string): Promise<void>;
  /** Whether scripts can run at the same time; otherwise they run one after the other. */
  readonly parallel: boolean;
  close(): Promise<void>;
};
