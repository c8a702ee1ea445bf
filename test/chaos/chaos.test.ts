import { describe } from "vitest";
import { postgresMissing } from "../harness/postgres.ts";
import { itEndsOnce } from "./ends-once.ts";
import { workersAsProcesses } from "./workers-as-processes.ts";

// The long run has AIRLOCK_CHAOS_EXECUTIONS=1000. Rounds of faults go on until that many executions were submitted;
// there is at least one round. Run on 2026-11-22 on two cores: 1,002 executions with 71 faults in 455 s (seed
// 2781669201), no problem: 971 ended as written, 29 worker_lost and 2 killed, each explained by a fault.
const missing = postgresMissing();

describe.skipIf(missing)(`chaos with workers as processes${missing ? ` (${missing})` : ""}`, () => {
  itEndsOnce({ openWorkerHost: () => workersAsProcesses, executions: 150, faultEveryMs: [3_000, 8_000] });
});
