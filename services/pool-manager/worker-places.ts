import type { Clock } from "../common/clock.ts";
import { createTurns } from "./turns.ts";

/** What the places need to know of a pool, and may ask of it. */
export type Member = {
  /** Its workers, those that are on their way or ending included: each has a place. */
  count(): number;
  /** Executions that wait for a worker. */
  queueDepth(): number;
  /** Starts one worker, which may begin when `ready`, called once all is prepared, resolves; resolves to whether it came. */
  start(ready: () => Promise<void>): Promise<boolean>;
  /**
   * Gives a worker up for other projects: one that has nothing to do, or with `evenBusy` one that ends when its runs are
   * over. Returns false when it has none to give.
   */
  giveUp(evenBusy: boolean): boolean;
};

/** One pool's side of the places. */
export type Place = {
  /** How many workers the pool wants started now. */
  want(lacking: number): void;
  /** Why workers that it wants are not started; empty when they are. */
  reason(): string;
};

/**
 * The places for workers that all projects share. It says who starts a worker when: a few at a time, the project with the
 * fewest workers first, so that neither a project with many workers nor one whose starts fail keeps another waiting.
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
    const gives =
      donors.some(
        (donor) =>
          (isRicher(donor) || (starving && donor.member.queueDepth() === 0)) && donor.member.giveUp(false),
      ) ||
      (starving && donors.some((donor) => (isRicher(donor) || hasWaited) && donor.member.giveUp(true)));
    if (gives) askedAtMs = clock.monotonicMs();
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
        const [first] = waiting;
        if (first) askFor(first);
        return;
      }
      const next = waiting.find(mayStart);
      if (!next) return;
      start(next);
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
          if (wanting.size > 0) look();
        },
        reason: () =>
          entry.lacking > 0 && total() >= maxWorkers
            ? `All ${maxWorkers} workers that this deployment may have (AIRLOCK_MAX_WORKERS) are in use; this project waits for the place of one.`
            : "",
      };
    },
  };
}
