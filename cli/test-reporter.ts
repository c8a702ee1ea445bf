import { writeFileSync } from "node:fs";
import type { Reporter, TestModule } from "vitest/node";
import type { Tally } from "./test-tally.ts";

/** Writes a Tally to AIRLOCK_TEST_TALLY; vitest's own JSON report does not say why a test was skipped. */
export default class TallyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    let passed = 0;
    let failed = unhandledErrors.length;
    const skipped: string[] = [];
    for (const module of modules) {
      // A file that does not load has no tests to fail.
      failed += module.errors().length;
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state === "passed") passed++;
        else if (result.state === "skipped") {
          const note = result.note ?? (test.options.mode === "todo" ? "not written yet" : "no reason given");
          skipped.push(`${module.relativeModuleId} > ${test.fullName}: ${note}`);
        } else failed++;
      }
    }
    const tally: Tally = { passed, failed, skipped };
    const path = process.env.AIRLOCK_TEST_TALLY;
    if (path) writeFileSync(path, JSON.stringify(tally));
  }
}
