/** Milliseconds that a stopping service gives to calls and runs that are under way. */
export const DRAIN_GRACE_MS = 10_000;

/**
 * Milliseconds that a restarting service may be unreachable, from its drain to the end of its start. A call
 * that has not begun waits so long for the service.
 */
export const RESTART_MS = 20_000;

/**
 * Milliseconds that a run goes on after it lost its router, and that its lease and network route are kept for
 * the router that takes it over. The worker has the same time (`--grace`). A dead router is noticed after 15
 * s, so the time suffices when two more routers die before they have attached to the run.
 */
export const ATTACH_GRACE_MS = 60_000;
