/** Totals of tests. `skipped` has a line with name and reason for each skipped test. */
export type Tally = { readonly passed: number; readonly failed: number; readonly skipped: readonly string[] };

/** Totals of the tests of each file, by path, and the number of errors that belong to no file. */
export type FileTallies = { readonly files: Readonly<Record<string, Tally>>; readonly errorsOutside: number };

export const CRASHED: Tally = { passed: 0, failed: 1, skipped: [] };

/** Counts one failure when the runner's exit status is not 0 although it reports no failed test. */
export function withExitStatus(tally: Tally, exitStatus: number | null): Tally {
  return exitStatus !== 0 && tally.failed === 0 ? { ...tally, failed: 1 } : tally;
}

export function sumOf(tallies: readonly Tally[]): Tally {
  return {
    passed: tallies.reduce((sum, tally) => sum + tally.passed, 0),
    failed: tallies.reduce((sum, tally) => sum + tally.failed, 0),
    skipped: tallies.flatMap((tally) => tally.skipped),
  };
}

/** The summary `N passed, N failed`, with the number of skipped tests only if there are any. */
export function tallyLine({ passed, failed, skipped }: Tally): string {
  const tail = skipped.length > 0 ? `, ${skipped.length} skipped` : "";
  return `${passed} passed, ${failed} failed${tail}`;
}

/** Whether a test run counts as failed. In CI a skipped test fails it, too. */
export function tallyFails({ failed, skipped }: Tally, inCi: boolean): boolean {
  return failed > 0 || (inCi && skipped.length > 0);
}

/** Counts the test cases of pytest's JUnit XML. Text is escaped there, so every `<` begins a tag. */
export function tallyOfJunit(xml: string): Tally {
  let passed = 0;
  let failed = 0;
  const skipped: string[] = [];
  for (const testCase of xml.split("<testcase ").slice(1)) {
    const skip = /<skipped\b([^>]*)>/.exec(testCase);
    if (/<(failure|error)\b/.test(testCase)) failed++;
    else if (skip) {
      const name = `${attribute(testCase, "classname")}.${attribute(testCase, "name")}`;
      skipped.push(`${name}: ${attribute(skip[1] ?? "", "message") || "no reason given"}`);
    } else passed++;
  }
  return { passed, failed, skipped };
}

function attribute(tag: string, name: string): string {
  const text = new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(tag)?.[1] ?? "";
  return text
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&amp;", "&");
}
