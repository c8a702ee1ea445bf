/**
 * The factor by which property tests multiply their number of cases: `AIRLOCK_PROPERTY_RUNS`, such as 20 for a long
 * search. The default is 1 in CI and 0.25 elsewhere, because a developer's machine runs the tests many times a day.
 */
const FACTOR = Number(process.env.AIRLOCK_PROPERTY_RUNS ?? (process.env.CI ? 1 : 0.25));
if (!(FACTOR > 0)) throw new Error("AIRLOCK_PROPERTY_RUNS must be a number above 0, such as 20.");

/** The parameter of `fc.assert` for a property that CI tries `count` times. */
export function propertyRuns(count: number): { readonly numRuns: number } {
  return { numRuns: Math.max(1, Math.round(count * FACTOR)) };
}

/** The timeout of property tests, in milliseconds; it grows with the number of cases. */
export const PROPERTY_TIMEOUT_MS = 120_000 * Math.max(1, FACTOR);
