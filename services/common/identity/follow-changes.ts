import type { Clock } from "../resilience/clock.ts";

// Milliseconds without a word from the authority after which its changes count as unknown. It speaks every
// half second, and a revocation must be obeyed within a second.
const SILENT_AFTER_MS = 900;
// Milliseconds between two attempts to follow the authority's changes.
const RETRY_MS = 250;

/** A stream of the authority's versions of changes; ends or throws when the authority stops or is away. */
export type WatchChanges = (signal: AbortSignal) => AsyncIterable<number>;

export type Freshness = {
  /** The authority's newest version of changes. Undefined while the authority is silent or cannot be reached. */
  version(): number | undefined;
  /** The version that was heard last, also while the authority is away; 0 before the first. */
  lastVersion(): number;
  close(): void;
};

/** Follows the authority's changes, and tries again whenever the stream ends. */
export function followChanges(watchChanges: WatchChanges, clock: Clock): Freshness {
  const abort = new AbortController();
  let version: number | undefined;
  let lastVersion = 0;
  let heardAtMs = 0;
  const isSilent = () => clock.monotonicMs() - heardAtMs >= SILENT_AFTER_MS;
  const follow = async () => {
    const stream = new AbortController();
    const end = () => stream.abort();
    abort.signal.addEventListener("abort", end, { once: true });
    heardAtMs = clock.monotonicMs();
    // A frozen authority keeps its stream open, so a silent stream is given up and another replica is asked.
    const check = () => {
      if (isSilent()) end();
      else stopCheck = clock.after(RETRY_MS, check);
    };
    let stopCheck = clock.after(SILENT_AFTER_MS, check);
    try {
      for await (const newest of watchChanges(stream.signal)) {
        version = newest;
        lastVersion = newest;
        heardAtMs = clock.monotonicMs();
      }
    } catch {
      // The authority is away; the next attempt follows.
    } finally {
      stopCheck();
      version = undefined;
      abort.signal.removeEventListener("abort", end);
    }
    if (!abort.signal.aborted) stopRetry = clock.after(RETRY_MS, run);
  };
  const run = () => void follow();
  let stopRetry: () => void = () => undefined;
  run();
  return {
    version: () => (isSilent() ? undefined : version),
    lastVersion: () => lastVersion,
    close() {
      abort.abort();
      stopRetry();
    },
  };
}
