import { type Figure, figureOf, type Unit } from "./figure.ts";
import { untilQuiet } from "./quiet.ts";

/** The values of one round of a subject, by metric. */
export type Sample<Metric extends string = string> = Readonly<Record<Metric, number>>;

/** A subject that is measured in rounds, such as a pool or a contender. */
export type Subject<Metric extends string = string> = {
  readonly name: string;
  /** The name of another subject, with whose values this one is compared; undefined: there is no ratio. */
  readonly floor?: string;
  round(): Promise<Sample<Metric>>;
};

export type Rounds<Metric extends string = string> = {
  samples(subject: string): readonly Sample<Metric>[];
  /**
   * Summarizes the rounds as a figure for each subject and metric. Ratios are to `floorMetric` of the
   * subject's floor, or to the same metric when undefined.
   */
  figures(row: string, unit: Unit, floorMetric?: Metric): Figure[];
};

/**
 * Measures the subjects in turn, round after round, so that a disturbance of the machine affects all of them.
 * Every other round goes backwards, so that no subject is always first. `settle` runs before each
 * measurement.
 */
export async function interleave<Metric extends string>(
  subjects: readonly Subject<Metric>[],
  rounds: number,
  settle: () => Promise<void> = untilQuiet,
): Promise<Rounds<Metric>> {
  const bySubject = new Map<string, Sample<Metric>[]>(subjects.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const subject of round % 2 === 0 ? subjects : subjects.toReversed()) {
      await settle();
      bySubject.get(subject.name)?.push(await subject.round());
    }
  }
  const samples = (name: string) => bySubject.get(name) ?? [];
  return {
    samples,
    figures: (row, unit, floorMetric) =>
      subjects.flatMap(({ name, floor }) => {
        const own = samples(name);
        const metrics = Object.keys(own[0] ?? {}) as Metric[];
        return metrics.map((metric) => {
          const floors = floor && samples(floor).map((sample) => sample[floorMetric ?? metric]);
          const values = own.map((sample) => sample[metric]);
          return figureOf({ row, subject: name, metric, unit }, values, floors || undefined);
        });
      }),
  };
}

/** Runs `work` and resolves to the milliseconds that it took. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await work();
  return performance.now() - from;
}

/** Runs `work` `count` times, one after the other, and resolves to the milliseconds of each. */
export async function timedEach(count: number, work: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let each = 0; each < count; each++) times.push(await timed(work));
  return times;
}
