/**
 * Joins chunks of bytes into one buffer. The buffer doubles when it is full, so it takes at most twice the
 * bytes of the chunks, however small they are.
 */
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
