import { hasCode } from "#common/errors.ts";
import type { Drain } from "#common/service/drain.ts";
import type { OutputFrom } from "#proto/router.ts";
import type { BackendCall } from "../backends/call.ts";
import type { ReserveMemory, RouterBackend } from "../backends/router.ts";
import type { ShownExecution } from "../execution-text/execution-text.ts";

/**
 * Waits until the execution is awaiting a response, has ended, or `waitMs` are over, and resolves to it. When
 * the gateway begins to stop, the execution is returned at once as it is. `outputFrom` says how much output
 * the client has already; that part is left out.
 */
export async function holdExecution(
  router: RouterBackend,
  drain: Drain,
  { id, waitMs, outputFrom }: { id: string; waitMs: number; outputFrom?: OutputFrom | undefined },
  call: BackendCall,
  reserveMemory: ReserveMemory,
): Promise<ShownExecution> {
  if (waitMs === 0 || drain.begun) return router.getExecution(id, 0, call, reserveMemory, outputFrom);
  const hold = new AbortController();
  call.signal.addEventListener("abort", () => hold.abort(), { once: true });
  const release = drain.onBegin(() => hold.abort());
  try {
    return await router.getExecution(id, waitMs, { ...call, signal: hold.signal }, reserveMemory, outputFrom);
  } catch (error) {
    if (!drain.begun || !hasCode(error, "cancelled")) throw error;
    return await router.getExecution(id, 0, call, reserveMemory, outputFrom);
  } finally {
    release();
  }
}
