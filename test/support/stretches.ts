/** How a piece of work used this thread, in milliseconds of its processor time: what other programs do does not count. */
export type Usage = {
  /** The longest stretch during which nothing else could run. */
  readonly longestMs: number;
  readonly totalMs: number;
};

/** Does `work` and measures its stretches between two rounds of the event loop. */
export async function measureStretches(work: () => Promise<unknown>): Promise<Usage> {
  let isDone = false;
  let longestMs = 0;
  const beganMs = threadMs();
  let lastMs = beganMs;
  const look = () => {
    const nowMs = threadMs();
    longestMs = Math.max(longestMs, nowMs - lastMs);
    lastMs = nowMs;
    if (!isDone) setImmediate(look);
  };
  setImmediate(look);
  try {
    await work();
  } finally {
    isDone = true;
  }
  look();
  return { longestMs, totalMs: lastMs - beganMs };
}

/** Of up to this many times, since a collection of the garbage that the test itself has made may fall into one. */
const ATTEMPTS = 3;

/** The longest stretch of `work` in the first of a few times that stays below `maxMs`, or in the last. */
export async function longestStretchMs(work: () => Promise<unknown>, maxMs: number): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    const { longestMs } = await measureStretches(work);
    if (longestMs < maxMs || attempt === ATTEMPTS) return longestMs;
  }
}

function threadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}
