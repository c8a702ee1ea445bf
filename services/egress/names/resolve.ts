/** Resolves a name to its addresses. Rejects when there are none, and as soon as `signal` aborts. */
export type Resolve = (host: string, signal: AbortSignal) => Promise<readonly string[]>;
