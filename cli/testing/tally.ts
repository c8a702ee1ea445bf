/** What came of tests; `skipped` says why, one line each. */
export type Tally = { readonly passed: number; readonly failed: number; readonly skipped: readonly string[] };

/** What came of the tests of each file, by its path, and how many errors no file can be blamed for. */
export type FileTallies = { readonly files: Readonly<Record<string, Tally>>; readonly errorsOutside: number };

export const CRASHED: Tally = { passed: 0, failed: 1, skipped: [] };

/** A runner that failed and reports no failed test has failed all the same. */
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

/** `N passed, N failed`, and what was skipped only if anything was. */
export function tallyLine({ passed, failed, skipped }: Tally): string {
  const tail = skipped.length > 0 ? `, ${skipped.length} skipped` : "";
  return `${passed} passed, ${failed} failed${tail}`;
}

/** In CI nothing may be skipped. */
export function tallyFails({ failed, skipped }: Tally, inCi: boolean): boolean {
  return failed > 0 || (inCi && skipped.length > 0);
}

/** Counts the cases of a JUnit file as pytest writes it. Text in it is escaped, so that every `<` begins a tag. */
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
