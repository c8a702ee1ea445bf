/** A run of bytes of one kind. */
export type Segment = {
  /** The byte that comes before it; without one it follows at once. */
  readonly opens?: number;
  /** By byte: 1 if it belongs to the run. */
  readonly bytes: Uint8Array;
  readonly min: number;
  readonly max: number;
  /** What a longer run is: none of this kind, one of which the beginning suffices, or one too long to be judged. */
  readonly longer: "refused" | "cut" | "overlong";
  /** This segment is what must not leave, with others that are; in a shape without one it is all, with the trigger. */
  readonly secret: boolean;
};

/** Some bytes of a text; `from` is the position of the first. */
export type Stretch = { readonly bytes: Uint8Array; readonly from: number };

export type Outcome = "open" | "refused" | "fits" | "overlong";

/** Follows a shape through a text that comes in pieces. */
export class ShapeWalk {
  /** Where it stands; when it has come to an end, where what it followed ends. */
  at: number;
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

  /** The first byte that the secret segment may hold. */
  get holdFrom(): number {
    const isInSecret = this.#shape[this.#index]?.secret === true;
    return this.secretFrom ?? (isInSecret ? this.#runFrom : this.at);
  }

  /** Goes on through `text`, after which nothing comes if it `ended`. */
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
