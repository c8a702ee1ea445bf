import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import { validate as isUuid } from "uuid";
import { AirlockError } from "../common/errors.ts";
import { statusFromProto } from "../common/execution-names.ts";
import type { Dependency } from "../common/gen/airlock/v1/readiness.ts";
import type { RouterServiceServer } from "../common/gen/airlock/v1/router.ts";
import { handlersFor } from "../common/grpc-server.ts";
import type { Log } from "../common/log.ts";
import type { Admission } from "./admission.ts";
import type { Executions } from "./executions.ts";
import { toExecutionMessage, toSummaryMessage } from "./messages.ts";
import type { ExecutionStore } from "./store/store.ts";

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 200;

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
    listExecutions: unary(async ({ project, status, limit, cursor }) => {
      if (cursor !== "" && !isUuid(cursor)) {
        throw new AirlockError(
          "invalid_request",
          "cursor is none that a list gave out; send next_cursor of the page before, or leave it out.",
        );
      }
      const size = Math.min(limit > 0 ? limit : DEFAULT_LIMIT, MAX_LIMIT);
      const found = await store.list({
        project: project || undefined,
        status: statusFromProto(status),
        limit: size + 1,
        before: cursor || undefined,
      });
      const page = found.slice(0, size);
      return {
        executions: page.map(toSummaryMessage),
        nextCursor: found.length > size ? (page.at(-1)?.executionId ?? "") : "",
      };
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
    getRouterReadiness: unary(async () => ({ dependencies: await readiness() })),
  };
  return service;
}
