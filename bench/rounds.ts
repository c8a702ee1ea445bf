import { type Figure, figureOf, type Unit } from "./figure.ts";
import { untilQuiet } from "./quiet.ts";

/** What one round of a subject gave, by metric. */
export type Sample<Metric extends string = string> = Readonly<Record<Metric, number>>;

/** Something that is measured round by round. */
export type Subject<Metric extends string = string> = {
  readonly name: string;
  /** What its figures are compared with: the name of another subject. */
  readonly floor?: string;
  round(): Promise<Sample<Metric>>;
};

export type Rounds<Metric extends string = string> = {
  samples(subject: string): readonly Sample<Metric>[];
  /** A figure for each subject and metric; ratios are to `floorMetric` of the subject's floor. */
  figures(row: string, unit: Unit, floorMetric?: Metric): Figure[];
};

/**
 * Measures the subjects in turn, round after round, so that what disturbs the machine disturbs all alike; every other
 * round goes backwards, so that nobody always comes first. `settle`: what is waited for before each.
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

/** Milliseconds that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await work();
  return performance.now() - from;
}

/** Does `work` so often, one after the other, and resolves to the milliseconds of each. */
export async function timedEach(count: number, work: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let each = 0; each < count; each++) times.push(await timed(work));
  return times;
}
