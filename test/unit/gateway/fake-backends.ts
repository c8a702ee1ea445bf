import { setTimeout as sleep } from "node:timers/promises";
import { AirlockError } from "#common/errors.ts";
import { createLog } from "#common/service/log.ts";
import { EndReason, type Execution, ExecutionStatus } from "#proto/execution.ts";
import { createMockBackends } from "../../../gateway/backends/mock/backends.ts";
import type { PoolManagerBackend } from "../../../gateway/backends/pool-manager.ts";
import type { RouterBackend } from "../../../gateway/backends/router.ts";
import { type ListenAt, type RunningGateway, serve } from "../../../gateway/serve.ts";

export const EXECUTION_ID = "1b4c74f6-863c-4c58-bb94-c8898baae39b";

export function execution(change: Partial<Execution> = {}): Execution {
  return {
    executionId: EXECUTION_ID,
    project: "demo",
    status: ExecutionStatus.PENDING,
    endReason: EndReason.UNSPECIFIED,
    resultJson: "",
    stdout: "",
    stderr: "",
    llmRequest: undefined,
    memoryUpdatesJson: "",
    truncated: undefined,
    createdAtMs: 0,
    waitingOn: undefined,
    ...change,
  };
}

export type TestGateway = RunningGateway & { readonly url: string };

/** A gateway on a free port over the mock, with some of its calls replaced. */
export async function startOver(
  change: { readonly router?: Partial<RouterBackend>; readonly poolManager?: Partial<PoolManagerBackend> },
  log = createLog("gateway", "silent"),
  listenAt: Partial<ListenAt> = {},
): Promise<TestGateway> {
  const mock = createMockBackends();
  const backends = {
    ...mock,
    router: { ...mock.router, ...change.router },
    poolManager: { ...mock.poolManager, ...change.poolManager },
  };
  const gateway = await serve({ host: "127.0.0.1", port: 0, ...listenAt }, backends, log);
  const url = listenAt.certificate ? gateway.url : `http://127.0.0.1:${gateway.port}`;
  return { ...gateway, url };
}

/** Holds an execution that stays pending for `waitMs`, as the router does; `calls` tells what became of each call. */
export function holdingBackend() {
  const calls: { waitMs: number; outcome: "held" | "answered" | "cancelled" }[] = [];
  const getExecution: RouterBackend["getExecution"] = async (_id, waitMs, { signal }) => {
    const call: (typeof calls)[number] = { waitMs, outcome: "held" };
    calls.push(call);
    try {
      await sleep(waitMs, undefined, { signal });
      call.outcome = "answered";
      return execution();
    } catch {
      call.outcome = "cancelled";
      throw new AirlockError("cancelled", "The call was cancelled.");
    }
  };
  return { calls, getExecution };
}

/** Resolves when `condition` holds; a test that waits in vain runs into its own timeout. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}
