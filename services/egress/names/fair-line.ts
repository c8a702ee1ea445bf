/** The numbers of tasks that may run at the same time: in all, for each project, and for each run. */
export type FairLimits = {
  readonly total: number;
  readonly perProject: number;
  readonly perRun: number;
};

/** A waiting task: the project's name, and an object that identifies the run. */
export type Waiter = { readonly project: string; readonly run: object };

/**
 * Waits until the limits allow the task to begin. Resolves to a function that the caller must call when the
 * task has ended; rejects with the signal's reason when `signal` aborts first.
 */
export type FairLine = (waiter: Waiter, signal: AbortSignal) => Promise<() => void>;

type Run = { running: number; readonly waiting: Set<() => void> };
type Project = { running: number; readonly runs: Map<object, Run> };

/**
 * Makes a queue of tasks in which projects take turns, and within a project its runs, so that a run with many
 * tasks delays only itself. A Map keeps the order of insertion, so a project or run whose task has begun is
 * inserted again at the end.
 */
export function createFairLine(limits: FairLimits): FairLine {
  const projects = new Map<string, Project>();
  let running = 0;

  const entryOf = ({ project: name, run: key }: Waiter) => {
    const project = projects.get(name) ?? { running: 0, runs: new Map<object, Run>() };
    projects.set(name, project);
    const run = project.runs.get(key) ?? { running: 0, waiting: new Set() };
    project.runs.set(key, run);
    return { project, run };
  };
  const forgetIfIdle = ({ project: name, run: key }: Waiter) => {
    const project = projects.get(name);
    const run = project?.runs.get(key);
    if (!project || !run || run.running > 0 || run.waiting.size > 0) return;
    project.runs.delete(key);
    if (project.runs.size === 0) projects.delete(name);
  };
  /** The waiting task that begins next; undefined when no task waits or the limits allow none to begin. */
  const next = () => {
    for (const [name, project] of projects) {
      if (project.running >= limits.perProject) continue;
      for (const [key, run] of project.runs) {
        const [begin] = run.waiting;
        if (begin && run.running < limits.perRun) return { name, project, key, run, begin };
      }
    }
    return undefined;
  };
  const serve = () => {
    while (running < limits.total) {
      const turn = next();
      if (!turn) return;
      const { name, project, key, run, begin } = turn;
      projects.delete(name);
      projects.set(name, project);
      project.runs.delete(key);
      project.runs.set(key, run);
      run.waiting.delete(begin);
      running++;
      project.running++;
      run.running++;
      begin();
    }
  };

  return (waiter, signal) =>
    new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const { project, run } = entryOf(waiter);
      let isOver = false;
      const end = () => {
        if (isOver) return;
        isOver = true;
        running--;
        project.running--;
        run.running--;
        forgetIfIdle(waiter);
        serve();
      };
      const leave = () => {
        run.waiting.delete(begin);
        forgetIfIdle(waiter);
        reject(signal.reason);
      };
      const begin = () => {
        signal.removeEventListener("abort", leave);
        resolve(end);
      };
      signal.addEventListener("abort", leave, { once: true });
      run.waiting.add(begin);
      serve();
    });
}
