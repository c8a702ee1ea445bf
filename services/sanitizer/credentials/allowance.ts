/**
 * The number of questions that every document has, because a document full of credential-like text must not
 * delay the output of other runs. One more is added for each BYTES_PER_RUN bytes of the document.
 */
const FREE_RUNS = 1_000;
const BYTES_PER_RUN = 1_024;

/**
 * Limits how often the rules are asked about one document. Candidates beyond the limit are redacted without
 * asking. The limit depends on positions in the text and not on time, so that the same text is always
 * redacted in the same way.
 */
export class Allowance {
  #used = 0;

  /** Whether the rules may be asked about the text at `position`. Uses up one question. */
  take(position: number): boolean {
    if (this.#used >= FREE_RUNS + position / BYTES_PER_RUN) return false;
    this.#used++;
    return true;
  }
}
