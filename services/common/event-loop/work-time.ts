/** Milliseconds between two updates of the kernel's count of a busy thread's processor time. */
const COUNTED_EACH_MS = 4;

/**
 * Measures how long this thread has worked, in milliseconds. A short time is measured by the clock, because
 * the kernel updates its count too seldom. A long time is measured by processor time, because on a busy
 * machine time passes in which the thread does not work.
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
