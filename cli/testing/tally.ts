import { stripVTControlCharacters } from "node:util";

/**
 * The numbers of tests that passed and failed, one line with file, name and error for each failed test, and one
 * line with name and reason for each skipped test.
 */
export type Tally = {
  readonly passed: number;
  readonly failed: number;
  readonly failures: readonly string[];
  readonly skipped: readonly string[];
};

/**
 * Totals of the tests of each file, by the file's path; `errorsOutside` counts errors that belong to no file.
 */
export type FileTallies = { readonly files: Readonly<Record<string, Tally>>; readonly errorsOutside: number };

export const NONE: Tally = { passed: 0, failed: 0, failures: [], skipped: [] };

/** Counts one error outside of all files when the runner's exit status is not 0 although it reports no failure. */
export function withExitStatus(tallies: FileTallies, exitStatus: number | null): FileTallies {
  const failed = sumOf(Object.values(tallies.files)).failed + tallies.errorsOutside;
  return exitStatus !== 0 && failed === 0 ? { ...tallies, errorsOutside: 1 } : tallies;
}

export function sumOf(tallies: readonly Tally[]): Tally {
  return {
    passed: tallies.reduce((sum, tally) => sum + tally.passed, 0),
    failed: tallies.reduce((sum, tally) => sum + tally.failed, 0),
    failures: tallies.flatMap((tally) => tally.failures),
    skipped: tallies.flatMap((tally) => tally.skipped),
  };
}

/** The line of a failed test: its file, its name, and the first line of its error. */
export function failureLine(file: string, name: string, error: string): string {
  const [first = ""] = stripVTControlCharacters(error).trim().split("\n");
  return `${file} > ${name}: ${first}`;
}

/**
 * The last line of a test run, `N passed, N failed`, with the number of skipped tests only if there are any.
 */
export function tallyLine({ passed, failed, skipped }: Tally): string {
  const tail = skipped.length > 0 ? `, ${skipped.length} skipped` : "";
  return `${passed} passed, ${failed} failed${tail}`;
}

/** Whether a test run counts as failed. In CI a skipped test fails it, too. */
export function tallyFails({ failed, skipped }: Tally, inCi: boolean): boolean {
  return failed > 0 || (inCi && skipped.length > 0);
}

/**
 * Counts the test cases of pytest's JUnit XML (`junit_family=xunit1`, which names files), by path from `worker/`, and
 * its errors that belong to no file. Text is escaped there, so every `<` begins a tag.
 */
export function talliesOfJunit(xml: string): FileTallies {
  const files: Record<string, Tally> = {};
  let errorsOutside = 0;
  for (const testCase of xml.split("<testcase ").slice(1)) {
    const file = attribute(testCase, "file");
    const one = tallyOfCase(testCase, file);
    if (file !== "") files[file] = sumOf([files[file] ?? NONE, one]);
    else errorsOutside += one.failed;
  }
  return { files, errorsOutside };
}

function tallyOfCase(testCase: string, file: string): Tally {
  const failure = /<(?:failure|error)\b([^>]*)>/.exec(testCase);
  if (failure) {
    const [name, error] = [attribute(testCase, "name"), attribute(failure[1] ?? "", "message")];
    return { ...NONE, failed: 1, failures: [failureLine(`worker/${file}`, name, error)] };
  }
  const skip = /<skipped\b([^>]*)>/.exec(testCase);
  if (!skip) return { ...NONE, passed: 1 };
  const name = `${attribute(testCase, "classname")}.${attribute(testCase, "name")}`;
  return { ...NONE, skipped: [`${name}: ${attribute(skip[1] ?? "", "message") || "no reason given"}`] };
}

function attribute(tag: string, name: string): string {
  const text = new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(tag)?.[1] ?? "";
  return text
    .replaceAll("&#10;", "\n")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&amp;", "&");
}
