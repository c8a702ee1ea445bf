/** The front is moved over before it is cut off, as cutting each time would take quadratic time. */
const MAX_STALE = 1_024;

/** A queue whose front can be taken away in constant time, however long it is. */
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

  /** Forgets the first item, which there must be. */
  shift(): void {
    this.#head++;
    if (this.#head < MAX_STALE || this.#head * 2 < this.#items.length) return;
    this.#items.splice(0, this.#head);
    this.#head = 0;
  }
}
