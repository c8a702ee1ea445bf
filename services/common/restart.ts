/** How long a service that is told to stop lets finish what is under way. */
export const DRAIN_GRACE_MS = 10_000;

/** How long a service that restarts may be away, with its drain and its start: what has not begun waits so long for it. */
export const RESTART_MS = 20_000;
