import type { Clock } from "#common/resilience/clock.ts";
import { repeat } from "#common/resilience/repeat.ts";
import type { Count, Counted } from "../backends/authority.ts";
import type { FirstAnswering } from "./first-answering.ts";

// Milliseconds after which requests that did not wait are told to the store.
const TELL_AFTER_MS = 200;
// Milliseconds between two calls to the store at the latest, by which the store knows this gateway, and the gateway
// whether it is the only one.
const BEAT_MS = 1_000;
// Most counters of principals, and most of addresses, that are kept; at one more, the one that began first is
// forgotten. Requests from very many addresses thereby take no more memory, and displace no principal.
const MAX_COUNTERS = 20_000;
// A counter that ends so many milliseconds later than this gateway knew has begun anew.
const ENDS_LATER_MS = 1_000;

/** What is counted, and for how long. */
export type CounterKind = {
  /** The principal or the address, and what is counted of it. */
  readonly name: string;
  readonly windowMs: number;
  /** Whether the name is that of an address, which a client without a credential has. */
  readonly isOfAddress?: boolean;
  /** Whether requests may be taken back, so that a lower number than before is no sign of a loss. */
  readonly mayShrink?: boolean;
};

/** What a counter stands at, with the request that was just counted. */
export type Standing = {
  readonly requests: number;
  /** When the counter begins at 0 again, by the monotonic clock. */
  readonly endsAtMs: number;
};

export type Counters = {
  /** Lets the store know of this gateway, so that the others no longer believe that they are alone. */
  announce(): Promise<void>;
  /**
   * Counts requests (or, negative, takes them back) in the counters that all gateways share. Waits for the store
   * unless this gateway is the only one.
   */
  count(kind: CounterKind, requests: number): Promise<Standing>;
  /** Counts one request at once by what this gateway knows, and tells the shared counters soon after. */
  countSoon(kind: CounterKind): Standing;
  close(): void;
};

type Entry = {
  readonly kind: CounterKind;
  /** All requests that this gateway has counted. */
  own: number;
  /** Whether the store has answered for the counter. */
  isTold: boolean;
  /** What the counter stood at when the store last answered, with what could not be told to it. */
  known: number;
  /** Requests that are being told to the store. */
  telling: number;
  /** Requests that are still to be told. */
  untold: number;
  endsAtMs: number;
};

/**
 * The requests of each principal and address. The store's counters are shared by all gateways; several requests
 * are told to it in one call, one call at a time. While no store answers, the gateway goes on by itself from
 * what it knows.
 */
export function createCounters(store: FirstAnswering, clock: Clock, maxCounters = MAX_COUNTERS): Counters {
  const ofPrincipals = new Map<string, Entry>();
  const ofAddresses = new Map<string, Entry>();
  let toTell = new Set<Entry>();
  let telling: Promise<unknown> | undefined;
  /** The next call to the store, which has the requests that came during the one underway. */
  let next: Promise<Told> | undefined;
  let stopTimer: (() => void) | undefined;
  // Whether no other gateway counts, so that this one knows by itself what each counter stands at.
  let isAlone = false;

  const entryOf = (kind: CounterKind): Entry => {
    const entries = kind.isOfAddress ? ofAddresses : ofPrincipals;
    const nowMs = clock.monotonicMs();
    const found = entries.get(kind.name);
    if (found && found.endsAtMs > nowMs) return found;
    entries.delete(kind.name);
    const [oldest] = entries.size >= maxCounters ? entries.keys() : [];
    if (oldest !== undefined) entries.delete(oldest);
    const entry = {
      kind,
      own: 0,
      isTold: false,
      known: 0,
      telling: 0,
      untold: 0,
      endsAtMs: nowMs + kind.windowMs,
    };
    entries.set(kind.name, entry);
    return entry;
  };

  const tell = async (): Promise<Told> => {
    await telling;
    next = undefined;
    stopTimer?.();
    stopTimer = undefined;
    const entries = [...toTell];
    toTell = new Set();
    const nowMs = clock.monotonicMs();
    for (const entry of entries) [entry.telling, entry.untold] = [entry.untold, 0];
    const told = store.add(entries.map((entry) => countOf(entry, nowMs)));
    telling = told;
    const answer = await told;
    isAlone = answer?.gateways === 1;
    const before: Map<Entry, number> = new Map();
    for (const [n, entry] of entries.entries())
      before.set(entry, settle(entry, answer?.counts[n], clock.monotonicMs()));
    return before;
  };
  const tellNow = (): Promise<Told> => {
    next ??= tell();
    return next;
  };

  const note = (entry: Entry, requests: number): void => {
    entry.own += requests;
    entry.untold += requests;
    // What is untold while no store answers is told with the counter's next request after that.
    if (!store.isAway()) toTell.add(entry);
  };
  const tellSoon = (): void => {
    if (store.isAway()) return;
    stopTimer ??= clock.after(TELL_AFTER_MS, () => {
      stopTimer = undefined;
      void tellNow();
    });
  };
  const stopBeat = repeat(BEAT_MS, async () => void (await tellNow()), clock);

  return {
    announce: async () => void (await tellNow()),
    async count(kind, requests) {
      const entry = entryOf(kind);
      note(entry, requests);
      if (store.isAway() || (isAlone && entry.isTold)) {
        tellSoon();
        return standingOf(entry);
      }
      const place = entry.untold;
      const before = (await tellNow()).get(entry) ?? 0;
      return standingOf(entry, before + place);
    },
    countSoon(kind) {
      const entry = entryOf(kind);
      note(entry, 1);
      tellSoon();
      return standingOf(entry);
    },
    close() {
      void stopBeat();
      stopTimer?.();
      store.close();
    },
  };
}

/** What each counter stood at before the requests that were told. */
type Told = ReadonlyMap<Entry, number>;

function standingOf(
  { known, telling, untold, endsAtMs }: Entry,
  requests = known + telling + untold,
): Standing {
  return { requests: Math.max(0, requests), endsAtMs };
}

function countOf({ kind, own, known, telling, endsAtMs }: Entry, nowMs: number): Count {
  const { name: counter, windowMs, mayShrink } = kind;
  return {
    counter,
    windowMs,
    requests: telling,
    own,
    known: { requests: mayShrink ? 0 : known, endsInMs: Math.max(0, endsAtMs - nowMs) },
  };
}

/** Takes over the store's answer; returns what the counter stood at before the requests that were told. */
function settle(entry: Entry, answer: Counted | undefined, nowMs: number): number {
  const { telling } = entry;
  entry.telling = 0;
  entry.isTold ||= answer !== undefined;
  const least = entry.known + telling;
  const endsAtMs = nowMs + Math.min(answer?.endsInMs ?? 0, entry.kind.windowMs);
  const isNew = endsAtMs > entry.endsAtMs + ENDS_LATER_MS;
  // A store that was emptied counts from 0 in the middle of what this gateway still knows.
  const isLost = answer !== undefined && nowMs < entry.endsAtMs && answer.requests < least && isNew;
  if (answer === undefined || isLost) entry.known = Math.max(0, least);
  else {
    [entry.known, entry.endsAtMs] = [answer.requests, endsAtMs];
    if (isNew) entry.own = telling + entry.untold;
  }
  return entry.known - telling;
}
