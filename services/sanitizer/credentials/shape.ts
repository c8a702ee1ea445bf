/**
 * A part of a credential's shape: a run of `min` to `max` bytes from one class, such as 36 letters and
 * digits.
 */
export type Segment = {
  /** The byte that must stand before the run; undefined when the run follows directly. */
  readonly opens?: number;
  /** For each byte, 1 if it belongs to the segment's class. */
  readonly bytes: Uint8Array;
  readonly min: number;
  readonly max: number;
  /**
   * The verdict on a run longer than `max`: no credential ("refused"), a credential that ends at `max`
   * ("cut"), or too long for the rule to judge, and so a credential without asking ("overlong").
   */
  readonly longer: "refused" | "cut" | "overlong";
  /**
   * Whether this segment is part of the secret to redact. In a shape without any such segment, the whole
   * credential with its trigger is redacted.
   */
  readonly secret: boolean;
};

/** Some bytes of a text; `from` is the position of the first byte in the whole text. */
export type Stretch = { readonly bytes: Uint8Array; readonly from: number };

/**
 * The result of a comparison with a shape: further bytes must arrive ("open"), the text is no credential
 * ("refused"), it has the shape ("fits"), or it is too long for the rule to judge ("overlong").
 */
export type Outcome = "open" | "refused" | "fits" | "overlong";

/** Compares a text that arrives in pieces with the shape of a credential, segment by segment. */
export class ShapeWalk {
  /**
   * The position in the text up to which bytes have been compared. After "fits" or "overlong", the position
   * at which the credential ends.
   */
  at: number;
  /**
   * The position at which the first segment of the secret begins; undefined until that segment is complete.
   */
  secretFrom: number | undefined;
  secretTo = 0;
  readonly #shape: readonly Segment[];
  #index = 0;
  #runFrom: number;

  constructor(shape: readonly Segment[], from: number) {
    this.#shape = shape;
    this.#runFrom = from;
    this.at = from;
  }

  /**
   * The position of the first byte that could belong to a segment of the secret, and so must be held back.
   */
  get holdFrom(): number {
    const isInSecret = this.#shape[this.#index]?.secret === true;
    return this.secretFrom ?? (isInSecret ? this.#runFrom : this.at);
  }

  /**
   * Compares the next piece of a text with the shape. Returns "open" when the bytes so far do not suffice to
   * decide. `ended` says that no further text follows.
   */
  advance({ bytes, from }: Stretch, ended: boolean): Outcome {
    const end = from + bytes.length;
    for (;;) {
      const segment = this.#shape[this.#index] as Segment;
      const stop = Math.min(end, this.#runFrom + segment.max);
      let at = this.at;
      while (at < stop && segment.bytes[bytes[at - from] as number] === 1) at++;
      this.at = at;
      if (at >= end && !ended) return "open";
      const next = at < end ? (bytes[at - from] as number) : -1;
      const length = at - this.#runFrom;
      if (length < segment.min) return "refused";
      const isLonger = length === segment.max && segment.bytes[next] === 1;
      if (isLonger && segment.longer === "refused") return "refused";
      if (segment.secret) {
        this.secretFrom ??= this.#runFrom;
        this.secretTo = at;
      }
      if (isLonger) return segment.longer === "overlong" ? "overlong" : "fits";
      const following = this.#shape[this.#index + 1];
      if (!following) return "fits";
      if (following.opens !== undefined) {
        if (next !== following.opens) return "refused";
        this.at++;
      }
      this.#index++;
      this.#runFrom = this.at;
    }
  }
}
