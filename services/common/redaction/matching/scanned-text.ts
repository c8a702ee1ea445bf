const NO_BYTES = new Uint8Array();

/** The part of a stream that is being scanned, and the last bytes before it. */
export class ScannedText {
  /** The number of bytes of the stream before `bytes`. */
  position: number;
  bytes: Uint8Array = NO_BYTES;
  /** Whether the stream ends after `bytes`. */
  isAll = false;
  #kept: Uint8Array = NO_BYTES;

  constructor(position: number) {
    this.position = position;
  }

  /** Starts a new stream at `position` and forgets the bytes before. */
  reset(position: number): void {
    this.position = position;
    this.#kept = NO_BYTES;
  }

  open(bytes: Uint8Array, isAll: boolean): void {
    this.bytes = bytes;
    this.isAll = isAll;
  }

  /**
   * Marks the bytes up to `at` as scanned, keeps the last `size` of them, and returns the bytes after `at`.
   */
  close(at: number, size: number): Uint8Array {
    const { bytes } = this;
    // The kept bytes are copied, because a view of a few bytes would keep the whole received message in
    // memory.
    this.#kept = Buffer.from(this.slice(this.position + at - size, this.position + at));
    const rest = at === bytes.length ? NO_BYTES : Buffer.from(bytes.subarray(at));
    this.position += at;
    this.bytes = NO_BYTES;
    return rest;
  }

  /** The bytes between two positions of the stream, as far as they are still kept. */
  slice(from: number, to: number): Uint8Array {
    const { bytes, position } = this;
    const inBytes = bytes.subarray(Math.max(0, from - position), Math.max(0, to - position));
    if (from >= position) return inBytes;
    const keptFrom = position - this.#kept.length;
    const kept = this.#kept.subarray(Math.max(0, from - keptFrom), Math.max(0, to - keptFrom));
    return Buffer.concat([kept, inBytes]);
  }
}
