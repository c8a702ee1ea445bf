/** Processor time of this thread for some work, in milliseconds; time of other programs does not count. */
export type Usage = {
  /** The longest time without a round of the event loop, so that nothing else could run. */
  readonly longestMs: number;
  readonly totalMs: number;
};

/** Runs `work` and measures the processor time between rounds of the event loop. */
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

/** Attempts of a measurement, because a garbage collection of the test itself may fall into one. */
const ATTEMPTS = 3;

/** The longest time that `work` blocked the event loop, in the first attempt below `maxMs`, or in the last one. */
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
