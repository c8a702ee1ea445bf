import type { Clock } from "#common/resilience/clock.ts";
import { createFairLine, type FairLimits } from "./fair-line.ts";
import type { Resolve } from "./resolve.ts";
import { saysNoSuchName } from "./system-resolver.ts";

/** The run that asks for a name. The signal `over` aborts when the run has ended. */
export type AskingRun = { readonly project: string; readonly over: AbortSignal };

/** Resolves a name to its addresses for a run. Rejects as soon as `signal` aborts or the run is over. */
export type LookUp = (run: AskingRun, host: string, signal: AbortSignal) => Promise<readonly string[]>;

/**
 * The error of a name lookup that could not begin within LINE_TIMEOUT_MS, because earlier lookups of the same
 * run or project were slow.
 */
export class WaitedTooLong extends Error {
  override name = "WaitedTooLong";
}

/**
 * The numbers of name lookups that may run at the same time: in all, for each project, and for each run. They
 * are limited because each lookup has one or two UDP sockets.
 */
export const LOOKUP_LIMITS: FairLimits = { total: 128, perProject: 16, perRun: 8 };
// Milliseconds that a lookup may wait until the limits allow it to begin.
const LINE_TIMEOUT_MS = 10_000;
// Milliseconds that a lookup may take after it has begun.
const LOOKUP_TIMEOUT_MS = 10_000;
// Milliseconds for which a name's addresses are reused within one run, long enough for the connections of one
// page or loop. Addresses are checked again for each connection.
const KEPT_MS = 5_000;
// Milliseconds for which the answer "no such name" is reused within one run.
const MISSING_KEPT_MS = 1_000;
const MAX_KEPT_NAMES = 256;

type Lookup = {
  readonly answer: Promise<readonly string[]>;
  readonly controller: AbortController;
  /** The number of connections that wait for the answer. When none waits any more, the lookup is aborted. */
  waiting: number;
  /**
   * Time on the monotonic clock, in milliseconds, until which the answer is reused; undefined while there is
   * no answer.
   */
  untilMs: number | undefined;
};

/**
 * Makes a function that looks names up, with limits per run and project. Projects and runs take turns, so
 * that slow names of one run do not delay the lookups of other runs. A lookup ends with its run, or when no
 * connection waits for its answer any more. Answers are kept for one run only, because an answer shared
 * between runs would reveal by its speed which names other runs have looked up.
 */
export function createLookUp(resolve: Resolve, clock: Clock, limits: FairLimits = LOOKUP_LIMITS): LookUp {
  const line = createFairLine(limits);
  const namesByRun = new WeakMap<AskingRun, Map<string, Lookup>>();

  /**
   * Waits until the limits allow another lookup, then looks the name up. LINE_TIMEOUT_MS limits the wait,
   * LOOKUP_TIMEOUT_MS the lookup; both abort `controller`.
   */
  const work = async (run: AskingRun, host: string, controller: AbortController) => {
    const { signal } = controller;
    const tooLate = () => controller.abort(new WaitedTooLong("earlier names were still being looked up"));
    let stopTimer = clock.after(LINE_TIMEOUT_MS, tooLate);
    try {
      const done = await line({ project: run.project, run }, signal);
      stopTimer();
      stopTimer = clock.after(LOOKUP_TIMEOUT_MS, () => controller.abort(unanswered()));
      try {
        return await abortable(resolve(host, signal), signal);
      } finally {
        done();
      }
    } finally {
      stopTimer();
    }
  };

  const start = (run: AskingRun, host: string, names: Map<string, Lookup>): Lookup => {
    const controller = new AbortController();
    const end = () => controller.abort(run.over.reason);
    run.over.addEventListener("abort", end, { once: true });
    const lookup: Lookup = {
      answer: work(run, host, controller),
      controller,
      waiting: 0,
      untilMs: undefined,
    };
    const keep = (forMs: number) => {
      lookup.untilMs = clock.monotonicMs() + forMs;
      if (names.size > MAX_KEPT_NAMES) forgetOldest(names);
    };
    void lookup.answer
      .then(
        () => keep(KEPT_MS),
        (error: unknown) => {
          if (saysNoSuchName(error)) keep(MISSING_KEPT_MS);
          else if (names.get(host) === lookup) names.delete(host);
        },
      )
      .finally(() => run.over.removeEventListener("abort", end));
    return lookup;
  };

  return async (run, host, signal) => {
    run.over.throwIfAborted();
    signal.throwIfAborted();
    const names = namesByRun.get(run) ?? new Map<string, Lookup>();
    namesByRun.set(run, names);
    let lookup = names.get(host);
    if (!lookup || (lookup.untilMs ?? Number.POSITIVE_INFINITY) <= clock.monotonicMs()) {
      names.delete(host);
      lookup = start(run, host, names);
      names.set(host, lookup);
    }
    lookup.waiting++;
    try {
      return await abortable(lookup.answer, signal);
    } finally {
      if (--lookup.waiting === 0 && lookup.untilMs === undefined) {
        if (names.get(host) === lookup) names.delete(host);
        lookup.controller.abort(signal.reason);
      }
    }
  };
}

function forgetOldest(names: Map<string, Lookup>): void {
  for (const [host, { untilMs }] of names) {
    if (untilMs === undefined) continue;
    names.delete(host);
    return;
  }
}

function unanswered(): Error {
  return Object.assign(new Error("the name was not resolved"), { code: "ETIMEDOUT" });
}

/** Settles as `work` does, or rejects with the signal's reason when `signal` aborts before. */
async function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort, { once: true });
  return await Promise.race([work, aborted.promise]).finally(() =>
    signal.removeEventListener("abort", abort),
  );
}
