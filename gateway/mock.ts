import type { Log } from "#common/service/log.ts";
import { createMockBackends } from "./backends/mock/backends.ts";
import { type ListenAt, type RunningGateway, serve } from "./serve.ts";

/** Serves the REST API from memory, for developers who integrate an agent and have no Python. */
export function startMockGateway(listenAt: ListenAt, log: Log): Promise<RunningGateway> {
  return serve(listenAt, createMockBackends(), log);
}
