import type { Redaction } from "../execution.ts";

/**
 * How often each secret was redacted from each field of an execution. The counts are stored as one JSON
 * object `{"FIELD:SECRET": COUNT}`, because a row for each secret and field would take ten times the space.
 * No field name contains a colon.
 */
type Counts = Readonly<Record<string, number>>;

/** Adds `redactions` to the counts in the JSON text `before`, and returns the new JSON text. */
export function addCounts(redactions: readonly Redaction[], before = "{}"): string {
  const counts = new Map(Object.entries(JSON.parse(before) as Counts));
  for (const { secret, field, count } of redactions) {
    const name = `${field}:${secret}`;
    counts.set(name, (counts.get(name) ?? 0) + count);
  }
  return JSON.stringify(Object.fromEntries(counts));
}

/** Parses the JSON text of `addCounts` to redactions, sorted by secret and field. */
export function toRedactions(counts: string): Redaction[] {
  const redactions = Object.entries(JSON.parse(counts) as Counts).map(([name, count]) => {
    const colon = name.indexOf(":");
    return { secret: name.slice(colon + 1), field: name.slice(0, colon), count };
  });
  return redactions.sort((a, b) => compare(a.secret, b.secret) || compare(a.field, b.field));
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
