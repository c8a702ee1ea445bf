import type { Clock } from "#common/resilience/clock.ts";
import { createTurns } from "../turns.ts";

/** What the places need to know of a pool, and may ask of it. */
export type Member = {
  /** Its workers that have a place, those that are on their way or ending included. */
  count(): number;
  /** Executions that wait for a worker, and paused workers whose executions are to go on. */
  queueDepth(): number;
  /** Starts one worker, which may begin when `ready`, called once all is prepared, resolves; resolves to whether it came. */
  start(ready: () => Promise<void>): Promise<boolean>;
  /** Whether its next worker is a paused one, which need not be started. */
  canBringBack(): boolean;
  /** Gives that one a place; the member then says anew how many it wants. */
  bringBack(): void;
  /** Gives a worker up for other projects. Returns false when it has none of this kind. */
  giveUp(what: Donation): boolean;
  /**
   * Its paused workers: those without a place, kept for their paused executions alone. `sinceMs`: since when the longest
   * paused one is, of those without an answered execution; undefined when there is none.
   */
  paused(): { readonly count: number; readonly sinceMs: number | undefined };
  /** Ends that one; its executions are lost, because it did what `how` says. */
  endPaused(how: string): void;
};

/**
 * What a worker that a project gives up may have: nothing, paused executions at most, or something that runs. Its place is
 * free when it has ended, at once, or when what runs there has ended or paused.
 */
export type Donation = "idle" | "paused" | "busy";

/** One pool's side of the places. */
export type Place = {
  /** How many workers the pool wants started now. */
  want(lacking: number): void;
  /** Why workers that it wants are not started; empty when they are. */
  reason(): string;
  /** Whether more workers have a place than there are places, as after an earlier process that had paused ones. */
  isOver(): boolean;
};

/**
 * The places for workers that all projects share. It says who starts a worker when: a few at a time, the project with the
 * fewest workers first, so that neither a project with many workers nor one whose starts fail keeps another waiting. Paused
 * workers have no place; there are as many of them as there are places at most.
 */
export type WorkerPlaces = {
  join(member: Member): Place;
};

/** A project that has no worker waits so long before the only worker of another one goes, after its run. */
const TURN_MS = 10_000;
const LOOK_AGAIN_MS = 1_000;

type Entry = {
  readonly member: Member;
  lacking: number;
  /** Since when it has executions and no worker; undefined: it has one, or no executions. */
  starvingSinceMs: number | undefined;
  startedAtMs: number;
  /** How its last start ended; "unknown" before the first one has. */
  lastStart: "came" | "failed" | "unknown";
  /** Starts that are not over. */
  underWay: number;
};

/** A start whose worker is about to begin. */
type Launch = { readonly kind: "first" | "more" | "failing"; readonly workers: number };

/** `maxWorkers`: of all projects. `maxStarts`: workers that begin at the same time, besides those of failing projects. */
export function createWorkerPlaces(
  { maxWorkers, maxStarts }: { readonly maxWorkers: number; readonly maxStarts: number },
  clock: Clock,
): WorkerPlaces {
  const members = new Set<Entry>();
  const wanting = new Set<Entry>();
  const launches = createTurns<Launch>(
    {
      mayEnter({ kind }, inside) {
        const count = (...kinds: readonly Launch["kind"][]) =>
          inside.filter((other) => kinds.includes(other.kind)).length;
        // Projects whose last start failed have turns of their own.
        if (kind === "failing") return count("failing") < maxStarts;
        if (count("first", "more") >= maxStarts) return false;
        // The last turn is for first workers.
        return kind === "first" || count("more") < Math.max(1, maxStarts - 1);
      },
      compare: (a, b) => a.workers - b.workers,
    },
    clock,
  );
  let isLooking = false;
  let lookAgain = false;
  let stopTimer: (() => void) | undefined;
  // A worker was asked for and its place is not free yet.
  let askedAtMs = Number.NEGATIVE_INFINITY;

  const total = () => [...members].reduce((sum, { member }) => sum + member.count(), 0);
  const isStarving = ({ member }: Entry) => member.count() === 0 && member.queueDepth() > 0;
  /** Whoever has executions and no worker is first, then whoever has fewest, then whoever has waited longest. */
  const inOrder = () =>
    [...wanting].sort(
      (a, b) =>
        Number(isStarving(b)) - Number(isStarving(a)) ||
        a.member.count() - b.member.count() ||
        a.startedAtMs - b.startedAtMs,
    );
  // Where one start may hang, more of them would take all places.
  const mayStart = ({ lastStart, underWay }: Entry) => underWay < (lastStart === "came" ? maxStarts : 1);

  const mayHaveOne = (entry: Entry) => entry.member.canBringBack() || mayStart(entry);

  const launchOf = ({ member, lastStart, underWay }: Entry): Launch => {
    const workers = member.count() - underWay;
    return { kind: lastStart === "failed" ? "failing" : workers === 0 ? "first" : "more", workers };
  };
  const start = (entry: Entry) => {
    let leave: () => void = () => undefined;
    const ready = async () => {
      leave = await launches.enter(launchOf(entry));
    };
    askedAtMs = Number.NEGATIVE_INFINITY;
    entry.startedAtMs = clock.monotonicMs();
    entry.underWay += 1;
    entry.lacking -= 1;
    if (entry.lacking === 0) wanting.delete(entry);
    void entry.member.start(ready).then((came) => {
      entry.lastStart = came ? "came" : "failed";
      entry.underWay -= 1;
      leave();
      look();
    });
  };

  const give = (entry: Entry) => {
    if (!entry.member.canBringBack()) return start(entry);
    askedAtMs = Number.NEGATIVE_INFINITY;
    entry.startedAtMs = clock.monotonicMs();
    entry.member.bringBack();
  };

  /** Has another project give a worker up for `entry`. */
  const askFor = (entry: Entry) => {
    if (clock.monotonicMs() - askedAtMs < TURN_MS) return;
    const own = entry.member.count();
    const starving = isStarving(entry);
    const hasWaited = clock.monotonicMs() - (entry.starvingSinceMs ?? clock.monotonicMs()) >= TURN_MS;
    const donors = [...members]
      .filter((donor) => donor !== entry)
      .sort((a, b) => b.member.count() - a.member.count());
    const isRicher = ({ member }: Entry) => member.count() >= own + 2;
    const giving = donors.filter((donor) => isRicher(donor) || (starving && donor.member.queueDepth() === 0));
    const before = total();
    const gives =
      giving.some(({ member }) => member.giveUp("idle")) ||
      (entry.member.queueDepth() > 0 && giving.some(({ member }) => member.giveUp("paused"))) ||
      (starving && donors.some((donor) => (isRicher(donor) || hasWaited) && donor.member.giveUp("busy")));
    if (gives && total() >= before) askedAtMs = clock.monotonicMs();
  };

  /** Ends paused workers beyond their bound: of the project with most of them, then the one paused for longest. */
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
      if (wanting.size === 0) return;
      for (const entry of wanting) {
        entry.starvingSinceMs = isStarving(entry)
          ? (entry.starvingSinceMs ?? clock.monotonicMs())
          : undefined;
      }
      const waiting = inOrder();
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
    // A pool that gives up a worker looks, too.
    if (isLooking) return;
    isLooking = true;
    while (lookAgain) {
      lookAgain = false;
      lookOnce();
      // One that leaves its place to another one is beyond the bound until that one has it.
      if (!lookAgain) endPausedBeyondBound();
    }
    isLooking = false;
    stopTimer?.();
    stopTimer = [...wanting].some(isStarving) ? clock.after(LOOK_AGAIN_MS, look) : undefined;
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
      };
      members.add(entry);
      return {
        want(lacking) {
          entry.lacking = Math.max(0, lacking);
          if (entry.lacking > 0) wanting.add(entry);
          else wanting.delete(entry);
          if (entry.lacking === 0) entry.starvingSinceMs = undefined;
          if (wanting.size > 0 || member.paused().count > 0) look();
        },
        reason: () =>
          entry.lacking > 0 && total() >= maxWorkers
            ? `${maxWorkers === 1 ? "The one worker that this deployment may have (AIRLOCK_MAX_WORKERS) is" : `All ${maxWorkers} workers that this deployment may have (AIRLOCK_MAX_WORKERS) are`} in use; this project waits for the place of one.`
            : "",
        isOver: () => total() > maxWorkers,
      };
    },
  };
}
