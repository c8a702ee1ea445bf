import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import { statusFromProto } from "../common/execution-names.ts";
import type { Dependency } from "../common/gen/airlock/v1/readiness.ts";
import type { RouterServiceServer } from "../common/gen/airlock/v1/router.ts";
import { handlersFor } from "../common/grpc-server.ts";
import type { Log } from "../common/log.ts";
import type { Admission } from "./admission.ts";
import type { Executions } from "./executions.ts";
import { toDeadLetterMessage, toExecutionMessage, toSummaryMessage } from "./messages.ts";
import { readPage } from "./pages.ts";
import type { ExecutionStore } from "./store/store.ts";

/** RouterService on top of the domain. */
export function createHandlers(
  admission: Admission,
  executions: Executions,
  store: ExecutionStore,
  readiness: () => Promise<Dependency[]>,
  log: Log,
): UntypedServiceImplementation {
  const { unary } = handlersFor(log);
  const service: RouterServiceServer = {
    submit: unary(async (request) => {
      const { execution, replayed } = await admission.submit(request);
      return { execution: toExecutionMessage(execution), replayed };
    }),
    getExecution: unary(async ({ executionId, waitMs }, { signal }) => ({
      execution: toExecutionMessage(await executions.get(executionId, waitMs, signal)),
    })),
    listExecutions: unary(async (request) => {
      const status = statusFromProto(request.status);
      const { page, nextCursor } = await readPage(request, (filter) => store.list({ ...filter, status }));
      return { executions: page.map(toSummaryMessage), nextCursor };
    }),
    respond: unary(async ({ executionId, llmRequestId, response }) => ({
      execution: toExecutionMessage(await executions.respond(executionId, llmRequestId, response)),
    })),
    cancel: unary(async ({ executionId }, { signal }) => ({
      execution: toExecutionMessage(await executions.cancel(executionId, signal)),
    })),
    getRedactions: unary(async ({ executionId }) => ({
      redactions: await executions.redactions(executionId),
    })),
    listDeadLetters: unary(async (request) => {
      const { page, nextCursor } = await readPage(request, store.listDeadLetters);
      return { deadLetters: page.map(toDeadLetterMessage), nextCursor };
    }),
    retryDeadLetter: unary(async ({ executionId, again }) => ({
      execution: toExecutionMessage(await admission.retry(executionId, again)),
    })),
    getRouterReadiness: unary(async () => ({ dependencies: await readiness() })),
  };
  return service;
}
