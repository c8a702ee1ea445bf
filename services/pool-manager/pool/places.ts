import type { Clock } from "#common/resilience/clock.ts";
import { createTurns } from "../turns.ts";

/**
 * The functions of one project's pool that `WorkerPlaces` calls. A place is the right of a worker to be one
 * of AIRLOCK_MAX_WORKERS.
 */
export type Member = {
  /** The number of the pool's workers that have a place, including those that are starting or ending. */
  count(): number;
  /**
   * The number of executions that wait for a worker, plus the paused workers with an execution whose response
   * has arrived.
   */
  queueDepth(): number;
  /**
   * Prepares one worker, awaits `ready`, and launches it. Resolves to whether it became ready to run scripts.
   */
  start(ready: Ready): Promise<boolean>;
  /**
   * Whether the pool would use its next place for a paused worker, which runs already and need not be
   * started.
   */
  canBringBack(): boolean;
  /** Gives the paused worker of `canBringBack` a place. The pool calls `want` again afterwards. */
  bringBack(): void;
  /**
   * Makes the pool give up the place of one of its workers, so that another project can use it. `what`: the
   * most work that may be on the worker. Returns false when the pool has no serving worker with so little
   * work.
   */
  giveUp(what: Donation): boolean;
  /**
   * The pool's paused workers: those without a place, kept for their paused executions alone. `sinceMs`: when
   * the longest paused one lost its place, of those on which no execution has its response yet; undefined
   * when there is none.
   */
  paused(): { readonly count: number; readonly sinceMs: number | undefined };
  /**
   * Ends the longest paused worker, the one of `paused().sinceMs`. Its executions are lost with the reason
   * `how`.
   */
  endPaused(how: string): void;
};

/** Resolves when a prepared worker may be launched. Rejects when the signal aborts while it waits for a place. */
export type Ready = (signal: AbortSignal) => Promise<void>;

/**
 * The work that may be on a worker that a project gives up. `idle`: none; the place is free when the worker
 * has ended. `paused`: paused executions at most; the place is free at once. `busy`: a running script; the
 * place is free when it has ended or paused.
 */
export type Donation = "idle" | "paused" | "busy";

/** The functions of `WorkerPlaces` that one pool calls. */
export type Place = {
  /**
   * Reports how many further places the pool wants now, for workers to start and for paused ones. Each call
   * replaces the number of the call before.
   */
  want(lacking: number): void;
  /**
   * Why the workers that the pool wants are not started, as a sentence for operators and agents; empty when
   * they are started.
   */
  reason(): string;
  /**
   * Whether more workers have a place than AIRLOCK_MAX_WORKERS allows. That happens after a takeover, because
   * paused workers of the earlier pool-manager had no place.
   */
  isOver(): boolean;
};

/**
 * The places for workers, shared by all projects. They decide which project starts a worker next: a few at a
 * time, the project with the fewest workers first. So neither a project with many workers nor one whose
 * starts fail delays another. Paused workers have no place; at most as many are kept as there are places.
 */
export type WorkerPlaces = {
  /** Adds a pool. Its members are called from then on. */
  join(member: Member): Place;
};

/**
 * Milliseconds that a project with executions and without a worker waits before another project must give up
 * its only worker, once that worker's run has ended. A second worker is asked for at the earliest after the
 * same time.
 */
const TURN_MS = 10_000;
/**
 * Milliseconds after which a worker that is being prepared has no place any more, until it is prepared. A
 * longer installation mostly waits for the network, and would keep other projects from having the place.
 */
const PREPARING_COUNTS_MS = 5_000;
/** Milliseconds between two attempts to find a place while a project has executions and no worker. */
const LOOK_AGAIN_MS = 1_000;

type Entry = {
  readonly member: Member;
  /** How many places the project wants and has not got. */
  lacking: number;
  /**
   * Since when the project has executions and no worker; undefined while it has a worker, or no executions.
   */
  starvingSinceMs: number | undefined;
  /**
   * When the project last got a place, in milliseconds of the monotonic clock; minus infinity before its
   * first.
   */
  startedAtMs: number;
  /**
   * How the project's last start of a worker ended: `came` when the worker became ready; "unknown" before the
   * project's first start has ended.
   */
  lastStart: "came" | "failed" | "unknown";
  /** The number of the project's starts of workers that have not ended. */
  underWay: number;
  /** The number of those that have no place, because they are being prepared for long. */
  aside: number;
  /** Those of them that are prepared and wait for a place. Each function gives the start one. */
  readonly prepared: Set<() => void>;
};

/**
 * A start whose worker is about to be launched. `kind`: `failing` when the project's last start failed,
 * `first` when the project has no worker, otherwise `more`. `workers`: how many workers the project has
 * already.
 */
type Launch = { readonly kind: "first" | "more" | "failing"; readonly workers: number };

/**
 * `maxWorkers`: the number of places. `maxStarts`: how many workers may be launched at the same time, not
 * counting projects whose last start failed.
 */
export function createWorkerPlaces(
  { maxWorkers, maxStarts }: { readonly maxWorkers: number; readonly maxStarts: number },
  clock: Clock,
): WorkerPlaces {
  const members = new Set<Entry>();
  const launches = createTurns<Launch>(
    {
      mayEnter({ kind }, inside) {
        const count = (...kinds: readonly Launch["kind"][]) =>
          inside.filter((other) => kinds.includes(other.kind)).length;
        // Launches of projects whose last start failed are counted apart, so that they do not delay other
        // projects.
        if (kind === "failing") return count("failing") < maxStarts;
        if (count("first", "more") >= maxStarts) return false;
        // The last of the `maxStarts` launches at the same time is kept for projects without a worker.
        return kind === "first" || count("more") < Math.max(1, maxStarts - 1);
      },
      compare: (a, b) => a.workers - b.workers,
    },
    clock,
  );
  let isLooking = false;
  let lookAgain = false;
  let stopTimer: (() => void) | undefined;
  // When a project was last asked to give up a worker. For TURN_MS no second one is asked, because the first
  // worker still has its place.
  let askedAtMs = Number.NEGATIVE_INFINITY;

  const held = ({ member, aside }: Entry) => member.count() - aside;
  const total = () => [...members].reduce((sum, entry) => sum + held(entry), 0);
  const isStarving = (entry: Entry) => held(entry) === 0 && entry.member.queueDepth() > 0;
  const wanting = () => [...members].filter(({ lacking, prepared }) => lacking > 0 || prepared.size > 0);
  /**
   * Projects with executions and no worker come first, then those with the fewest workers, then those that
   * got a worker longest ago.
   */
  const inOrder = () =>
    wanting().sort(
      (a, b) =>
        Number(isStarving(b)) - Number(isStarving(a)) || held(a) - held(b) || a.startedAtMs - b.startedAtMs,
    );
  // A project whose last start did not succeed starts one worker at a time, because several hanging starts
  // would take all places.
  const mayStart = ({ lacking, lastStart, underWay }: Entry) =>
    lacking > 0 && underWay < (lastStart === "came" ? maxStarts : 1);

  const mayHaveOne = (entry: Entry) =>
    (entry.lacking > 0 && entry.member.canBringBack()) || entry.prepared.size > 0 || mayStart(entry);

  const launchOf = ({ member, lastStart, underWay }: Entry): Launch => {
    const workers = member.count() - underWay;
    return { kind: lastStart === "failed" ? "failing" : workers === 0 ? "first" : "more", workers };
  };
  const start = (entry: Entry) => {
    let leave: () => void = () => undefined;
    let isAside = false;
    const putAside = () => {
      isAside = true;
      entry.aside += 1;
      look();
    };
    const takeBack = () => {
      if (isAside) entry.aside -= 1;
      isAside = false;
    };
    const stopPreparing = clock.after(PREPARING_COUNTS_MS, putAside);
    const ready: Ready = async (signal) => {
      stopPreparing();
      if (isAside) await placeFor(entry, takeBack, signal);
      leave = await launches.enter(launchOf(entry));
    };
    askedAtMs = Number.NEGATIVE_INFINITY;
    entry.startedAtMs = clock.monotonicMs();
    entry.underWay += 1;
    entry.lacking -= 1;
    void entry.member.start(ready).then((came) => {
      stopPreparing();
      takeBack();
      entry.lastStart = came ? "came" : "failed";
      entry.underWay -= 1;
      leave();
      look();
    });
  };

  /** Resolves when a prepared start has a place again. */
  const placeFor = (entry: Entry, take: () => void, signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      const stopWaiting = () => {
        entry.prepared.delete(giveOne);
        signal.removeEventListener("abort", giveUp);
      };
      const giveOne = () => {
        stopWaiting();
        take();
        resolve();
      };
      const giveUp = () => {
        stopWaiting();
        reject(signal.reason);
      };
      signal.throwIfAborted();
      signal.addEventListener("abort", giveUp);
      entry.prepared.add(giveOne);
      look();
    });

  const give = (entry: Entry) => {
    if (entry.lacking === 0 || !entry.member.canBringBack()) {
      const [prepared] = entry.prepared;
      if (!prepared) return start(entry);
      askedAtMs = Number.NEGATIVE_INFINITY;
      return prepared();
    }
    askedAtMs = Number.NEGATIVE_INFINITY;
    entry.startedAtMs = clock.monotonicMs();
    entry.member.bringBack();
  };

  /**
   * Asks another project to give up a worker's place for `entry`, the project with the most workers first. An
   * idle worker goes first, then a worker with paused executions only. A busy worker's place is given up only
   * for a project that has executions and no worker.
   */
  const askFor = (entry: Entry) => {
    if (clock.monotonicMs() - askedAtMs < TURN_MS) return;
    const own = held(entry);
    const starving = isStarving(entry);
    const hasWaited = clock.monotonicMs() - (entry.starvingSinceMs ?? clock.monotonicMs()) >= TURN_MS;
    const donors = [...members].filter((donor) => donor !== entry).sort((a, b) => held(b) - held(a));
    const isRicher = (donor: Entry) => held(donor) >= own + 2;
    const giving = donors.filter((donor) => isRicher(donor) || (starving && donor.member.queueDepth() === 0));
    const before = total();
    const gives =
      giving.some(({ member }) => member.giveUp("idle")) ||
      (entry.member.queueDepth() > 0 && giving.some(({ member }) => member.giveUp("paused"))) ||
      (starving && donors.some((donor) => (isRicher(donor) || hasWaited) && donor.member.giveUp("busy")));
    if (gives && total() >= before) askedAtMs = clock.monotonicMs();
  };

  /**
   * Ends paused workers while more than `maxWorkers` are kept. The project with the most of them loses the
   * one that has been paused for longest. Workers on which an execution has its response are not ended, even
   * when more than `maxWorkers` are then kept.
   */
  const endPausedBeyondBound = () => {
    for (;;) {
      const all = [...members].map(({ member }) => ({ member, ...member.paused() }));
      if (all.reduce((sum, { count }) => sum + count, 0) <= maxWorkers) return;
      const [first] = all
        .filter(({ sinceMs }) => sinceMs !== undefined)
        .sort((a, b) => b.count - a.count || (a.sinceMs ?? 0) - (b.sinceMs ?? 0));
      if (!first) return;
      first.member.endPaused(
        `was ended, because no more than ${maxWorkers} workers (AIRLOCK_MAX_WORKERS) are kept for paused executions alone`,
      );
    }
  };

  const lookOnce = () => {
    for (;;) {
      const waiting = inOrder();
      if (waiting.length === 0) return;
      for (const entry of waiting) {
        entry.starvingSinceMs = isStarving(entry)
          ? (entry.starvingSinceMs ?? clock.monotonicMs())
          : undefined;
      }
      if (total() >= maxWorkers) {
        const first = waiting.find(mayHaveOne);
        if (first) askFor(first);
        return;
      }
      const next = waiting.find(mayHaveOne);
      if (!next) return;
      give(next);
    }
  };

  const look = () => {
    lookAgain = true;
    // A pool that gives up a worker calls `want`, and so `look`, while this call still runs. The running call
    // then looks once more.
    if (isLooking) return;
    isLooking = true;
    while (lookAgain) {
      lookAgain = false;
      lookOnce();
      // The bound on paused workers is checked last, because a worker that passes its place to a paused one
      // exceeds the bound for a moment.
      if (!lookAgain) endPausedBeyondBound();
    }
    isLooking = false;
    stopTimer?.();
    stopTimer = wanting().some(isStarving) ? clock.after(LOOK_AGAIN_MS, look) : undefined;
  };

  return {
    join(member) {
      const entry: Entry = {
        member,
        lacking: 0,
        starvingSinceMs: undefined,
        startedAtMs: Number.NEGATIVE_INFINITY,
        lastStart: "unknown",
        underWay: 0,
        aside: 0,
        prepared: new Set(),
      };
      members.add(entry);
      return {
        want(lacking) {
          entry.lacking = Math.max(0, lacking);
          if (entry.lacking === 0 && entry.prepared.size === 0) entry.starvingSinceMs = undefined;
          if (wanting().length > 0 || member.paused().count > 0) look();
        },
        reason: () =>
          (entry.lacking > 0 || entry.prepared.size > 0) && total() >= maxWorkers
            ? `${maxWorkers === 1 ? "The one worker that this deployment may have (AIRLOCK_MAX_WORKERS) is" : `All ${maxWorkers} workers that this deployment may have (AIRLOCK_MAX_WORKERS) are`} in use; this project waits for the place of one.`
            : "",
        isOver: () => total() > maxWorkers,
      };
    },
  };
}
