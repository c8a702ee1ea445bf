/** How long a service that is told to stop lets finish what is under way. */
export const DRAIN_GRACE_MS = 10_000;

/** How long a service that restarts may be away, with its drain and its start: what has not begun waits so long for it. */
export const RESTART_MS = 20_000;

/**
 * How long a run that lost its caller goes on, and its lease and route are kept for whoever takes it over; the worker has
 * the same (`--grace`). A router is missed after 15 seconds: another one may die before it has attached, and one more.
 */
export const ATTACH_GRACE_MS = 60_000;
