import { writeFileSync } from "node:fs";
import type { Reporter, TestCase, TestModule, TestSuite } from "vitest/node";
import { type FileTallies, failureLine, type Tally } from "./tally.ts";

/**
 * A vitest reporter that writes FileTallies to the file AIRLOCK_TEST_TALLY, because vitest's own JSON report
 * does not say why a test was skipped.
 */
export default class TallyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const files: Record<string, Tally> = {};
    for (const module of modules) files[module.relativeModuleId] = tallyOf(module);
    const tallies: FileTallies = { files, errorsOutside: unhandledErrors.length };
    const path = process.env.AIRLOCK_TEST_TALLY;
    if (path) writeFileSync(path, JSON.stringify(tallies));
  }
}

function tallyOf(module: TestModule): Tally {
  let passed = 0;
  // Errors of a file that cannot be loaded count as failures, because such a file has no tests.
  const { relativeModuleId: file } = module;
  const failures = module.errors().map((error) => failureLine(file, "the file itself", error.message));
  const skipped: string[] = [];
  for (const test of module.children.allTests()) {
    const result = test.result();
    if (result.state === "passed") passed++;
    else if (result.state === "skipped") {
      const unsaid = test.options.mode === "todo" ? "not written yet" : "no reason given";
      const note = result.note ?? reasonInTitle(test) ?? unsaid;
      skipped.push(`${file} > ${test.fullName}: ${note}`);
    } else failures.push(failureLine(file, test.fullName, result.errors?.[0]?.message ?? "it did not end"));
  }
  return { passed, failed: failures.length, failures, skipped };
}

/**
 * The reason at the end of the title of the test or group that was skipped, in parentheses: `describe.skipIf` and
 * `it.skipIf` have no other place for it.
 */
function reasonInTitle(test: TestCase): string | undefined {
  let skipped: TestCase | TestSuite | TestModule = test;
  while (skipped.type !== "module") {
    const reason = skipped.options.mode === "skip" && / \(((?:[^()]|\([^()]*\))+)\)$/.exec(skipped.name)?.[1];
    if (reason) return reason;
    skipped = skipped.parent;
  }
  return undefined;
}
