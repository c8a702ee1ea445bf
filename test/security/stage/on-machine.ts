import type { Account } from "../../harness/account.ts";
import { startAirlock } from "../../harness/airlock.ts";
import { longLived, tracesOf } from "./traces.ts";
import type { Place } from "./worker-host.ts";

/** Workers are processes of this machine, and all is run by one account. */
export function onMachine(account: Account): Place {
  return {
    line: "",
    async start(options) {
      const airlock = await startAirlock({ ...options, account });
      return {
        airlock,
        longLived: () => longLived(airlock.pid),
        // Supervisor, zygote and template.
        ofWorker: 3,
        addresses: async () => [],
        traces: (_, directories) => tracesOf(airlock.pid, directories),
      };
    },
  };
}
