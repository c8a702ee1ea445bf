/** The addresses of a name. Rejects when there are none, and as soon as `signal` aborts. */
export type Resolve = (host: string, signal: AbortSignal) => Promise<readonly string[]>;
