/**
 * The number of removed items that stay in the array before they are cut off together, because cutting at
 * each removal would take quadratic time.
 */
const MAX_STALE = 1_024;

/** A queue whose first item can be removed in constant time, however long the queue is. */
export class Fifo<Item> {
  readonly #items: Item[] = [];
  #head = 0;

  get first(): Item | undefined {
    return this.#items[this.#head];
  }

  *[Symbol.iterator](): Generator<Item> {
    for (let at = this.#head; at < this.#items.length; at++) yield this.#items[at] as Item;
  }

  clear(): void {
    this.#items.length = 0;
    this.#head = 0;
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  /** Removes the first item, which must exist. */
  shift(): void {
    this.#head++;
    if (this.#head < MAX_STALE || this.#head * 2 < this.#items.length) return;
    this.#items.splice(0, this.#head);
    this.#head = 0;
  }
}
