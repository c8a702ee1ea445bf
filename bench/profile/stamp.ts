/** A step with its time, in milliseconds of the machine's monotonic clock, which Node and Python share. */
export type Stamp = readonly [atMs: number, what: string];
