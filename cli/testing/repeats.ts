import { type FileTallies, NONE, sumOf, type Tally } from "./tally.ts";

/**
 * Test files that may be repeated after a failure, because they depend on timing: chaos, network faults,
 * soak, load, floods, containers, connections of real services. When such a file passes the second time, it
 * is reported as flaky and does not block other work. Every other file must pass the first time, above all
 * those about numbers and secrets, because a script whose numbers differ now and then is a fault of Airlock.
 */
const REPEATED = [
  /^test\/(chaos|integration\/(faults|router|pool-manager|egress|grpc)|e2e\/docker)\//,
  /^worker\/tests\/service\//,
  /^test\/e2e\/load\/(soak|load-and-loss|scaling|bench|floods[^/]*)\.test\.ts$/,
  /^test\/([^/]+\/)*([^/]*-)?docker(-[^/]*)?\.test\.ts$/,
];

/**
 * When more test files than this fail, none is repeated, because then the tested change is probably at fault
 * and not a race.
 */
const MAX_REPEATED = 4;

/**
 * The totals of a test run in which some files were run twice. `flaky` are files that failed first and then
 * passed.
 */
export type RepeatedTally = { readonly tally: Tally; readonly flaky: readonly string[] };

export function mayRepeat(file: string): boolean {
  return REPEATED.some((pattern) => pattern.test(file));
}

/**
 * Runs each failed file that may be repeated once more by itself; its second outcome counts. `runAgain` takes
 * the path of a file and resolves to the totals of its tests.
 */
export async function repeatFailed(
  first: FileTallies,
  runAgain: (file: string) => Promise<Tally>,
): Promise<RepeatedTally> {
  const files = new Map(Object.entries(first.files));
  const failed = Object.keys(first.files).filter((file) => first.files[file]?.failed !== 0);
  const flaky: string[] = [];
  for (const file of failed.length > MAX_REPEATED ? [] : failed.filter(mayRepeat)) {
    const second = await runAgain(file);
    files.set(file, second);
    if (second.failed === 0 && second.passed > 0) flaky.push(file);
  }
  const { errorsOutside } = first;
  const failures = errorsOutside > 0 ? [`errors outside of all tests: ${errorsOutside}`] : [];
  const outside: Tally = { ...NONE, failed: errorsOutside, failures };
  return { tally: sumOf([...files.values(), outside]), flaky };
}
