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

function threadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}
