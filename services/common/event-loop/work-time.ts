/** The kernel counts the processor time of a thread that goes on working only about so often. */
const COUNTED_EACH_MS = 4;

/**
 * How long this thread has worked since it was asked to look. A short time is told by the clock, because the kernel counts too seldom; a long
 * one by the processor time, because on a busy machine time passes in which the thread does not work.
 */
export class WorkTime {
  #fromMs = performance.now();
  #usedMs = threadMs();

  get ms(): number {
    const passedMs = performance.now() - this.#fromMs;
    return passedMs <= COUNTED_EACH_MS ? passedMs : Math.min(passedMs, threadMs() - this.#usedMs);
  }

  restart(): void {
    this.#fromMs = performance.now();
    this.#usedMs = threadMs();
  }
}

function threadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}
