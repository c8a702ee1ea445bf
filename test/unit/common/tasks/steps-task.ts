import { inSlices, type Task } from "#common/event-loop/background-thread.ts";

/** Works for `ms` milliseconds, in steps of about a tenth. */
export default async function work(task: Task<number>): Promise<number> {
  return await inSlices(steps(task.input), task);
}

function* steps(ms: number): Generator<void, number> {
  for (let worked = 0; worked < ms; ) {
    const began = performance.now();
    while (performance.now() - began < 0.1);
    worked += performance.now() - began;
    yield;
  }
  return ms;
}
