/** A document that is full of what looks like credentials must not keep everybody else waiting. */
const FREE_RUNS = 1_000;
const BYTES_PER_RUN = 1_024;

/**
 * How often the rules may be asked in one document. It is counted by places in the text, not by time, so that the same
 * text is always redacted the same way.
 */
export class Allowance {
  #used = 0;

  /** Whether the rules may be asked about what stands at `position`. */
  take(position: number): boolean {
    if (this.#used >= FREE_RUNS + position / BYTES_PER_RUN) return false;
    this.#used++;
    return true;
  }
}
