/** A value at a time, in minutes. */
export type Sample = { readonly atMinutes: number; readonly value: number };

/**
 * The rise of the samples per minute: the median of the slopes between all pairs (Theil and Sen), because a single
 * sample cannot change it.
 */
export function slopePerMinute(samples: readonly Sample[]): number {
  const slopes = samples.flatMap((a, n) =>
    samples
      .slice(n + 1)
      .filter((b) => b.atMinutes > a.atMinutes)
      .map((b) => (b.value - a.value) / (b.atMinutes - a.atMinutes)),
  );
  return median(slopes);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  if (sorted.length % 2 === 1) return sorted[middle] ?? 0;
  return ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}
