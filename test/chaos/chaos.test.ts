import { describe } from "vitest";
import { postgresMissing } from "../support/postgres.ts";
import { itEndsOnce } from "./whatever-dies.ts";
import { workersAsProcesses } from "./workers-as-processes.ts";

// AIRLOCK_CHAOS_EXECUTIONS=1000 is the whole of it; the faults go round until as many have ended, at least once.
// Run on 2026-11-21 on two shared cores: 218 with 22 faults in 134 s (seed 2) and 500 with 48 faults in 302 s (seed 4),
// nothing wrong; 1,000 with 67 faults in 426 s (seed 3), which ended before it looked for what is left: 927 were as
// written, and one was worker_lost without a fault that explains it. What the services wrote of such is printed since.
const missing = postgresMissing();

describe.skipIf(missing)(`whatever dies${missing ? ` (${missing})` : ""}`, () => {
  itEndsOnce({ openPlace: () => workersAsProcesses, executions: 150, faultEveryMs: [3_000, 8_000] });
});
