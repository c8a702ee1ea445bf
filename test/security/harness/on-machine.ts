import type { Account } from "../../harness/account.ts";
import { startAirlock } from "../../harness/airlock.ts";
import { longLived, tracesOf } from "./traces.ts";
import type { WorkerHost } from "./worker-host.ts";

/** Runs Airlock and its workers as processes of this machine, under one account. */
export function onMachine(account: Account): WorkerHost {
  return {
    line: "",
    async start(options) {
      const airlock = await startAirlock({ ...options, account });
      return {
        airlock,
        longLived: () => longLived(airlock.pid),
        // A worker has three long-lived processes: supervisor, zygote and template.
        ofWorker: 3,
        addresses: async () => [],
        traces: (_, directories) => tracesOf(airlock.pid, directories),
      };
    },
  };
}
