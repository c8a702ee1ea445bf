/**
 * The number of times that secretlint's rules may be asked about any document, however short. The number is
 * limited, because a document full of credential-like text must not delay the output of other runs.
 */
const FREE_RUNS = 1_000;
/** Bytes of a document for which the rules may be asked once more. */
const BYTES_PER_RUN = 1_024;

/**
 * Limits how often secretlint's rules are asked about the credential-like texts of one document. Texts beyond
 * the limit are redacted without asking. The limit depends on positions in the text and not on time, so that
 * the same text is always redacted in the same way.
 */
export class Allowance {
  #used = 0;

  /**
   * Whether the rules may be asked about the text at the byte offset `position`. When they may, one question
   * counts as used.
   */
  take(position: number): boolean {
    if (this.#used >= FREE_RUNS + position / BYTES_PER_RUN) return false;
    this.#used++;
    return true;
  }
}
