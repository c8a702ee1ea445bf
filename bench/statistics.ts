/** The quantile `part` (0 to 1) of the values, interpolated between neighbours. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * part;
  const low = sorted[Math.floor(at)] ?? Number.NaN;
  const high = sorted[Math.ceil(at)] ?? Number.NaN;
  return low + (high - low) * (at - Math.floor(at));
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export type Percentiles = { readonly p50: number; readonly p95: number; readonly p99: number };

export function percentiles(values: readonly number[]): Percentiles {
  return { p50: median(values), p95: quantile(values, 0.95), p99: quantile(values, 0.99) };
}
