const PARTS = 64;
const SAMPLES = 8;

/**
 * A map from the names of JSON keys to numbers. Its entries are spread over 64 small maps, because a single
 * map of a million names takes a tenth of a second at once when it grows, which would block the event loop.
 */
export class PartedNames {
  readonly #parts = Array.from({ length: PARTS }, () => new Map<string, number>());

  get(name: string): number | undefined {
    return this.#part(name).get(name);
  }

  has(name: string): boolean {
    return this.#part(name).has(name);
  }

  set(name: string, number: number): void {
    this.#part(name).set(name, number);
  }

  #part(name: string): Map<string, number> {
    let sum = name.length;
    const step = Math.max(1, Math.floor(name.length / SAMPLES));
    for (let at = 0; at < name.length; at += step) sum = (sum * 31 + name.charCodeAt(at)) >>> 0;
    return this.#parts[sum % PARTS] as Map<string, number>;
  }
}
