/** Milliseconds that a stopping service gives to calls and runs that are under way. */
export const DRAIN_GRACE_MS = 10_000;

/**
 * Milliseconds that a restarting service may be unreachable, from its drain to the end of its start. A caller
 * that has not sent its call yet waits this long for the service.
 */
export const RESTART_MS = 20_000;

/**
 * Milliseconds that a run goes on after its router died. The pool-manager keeps the run's lease, and the
 * egress service its network route, equally long for the router that takes the run over. The worker's
 * `--grace` has the same value. A dead router is noticed after 15 s, so the time suffices when two more
 * routers die before they have attached to the run.
 */
export const ATTACH_GRACE_MS = 60_000;
