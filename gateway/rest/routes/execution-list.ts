import type { FastifyInstance } from "fastify";
import { endReasonFromProto, statusFromProto, statusToProto } from "#common/execution-names.ts";
import { ExecutionStatus, type ExecutionSummary } from "#proto/execution.ts";
import type { RouterBackend } from "../../backends/router.ts";
import { backendCall } from "../request/backend-call.ts";
import { EXECUTION_LIST, type ExecutionList, LIST_QUERY, type ListQuery } from "../schemas/execution-list.ts";
import { EXECUTION_LIST_LINKS } from "../schemas/links.ts";
import { problemResponses, SERVICE_CODES } from "../schemas/problem.ts";

const DEFAULT_LIMIT = 50;

export function executionListRoute(app: FastifyInstance, router: RouterBackend): void {
  app.get<{ Querystring: ListQuery }>(
    "/executions",
    {
      links: EXECUTION_LIST_LINKS,
      config: { permission: "execution.read" },
      schema: {
        operationId: "listExecutions",
        tags: ["executions"],
        summary: "List executions",
        description: "Newest first, page by page.",
        querystring: LIST_QUERY,
        response: {
          200: {
            description: "One page.",
            content: { "application/json": { schema: EXECUTION_LIST } },
          },
          ...problemResponses("invalid_request", ...SERVICE_CODES),
        },
      },
    },
    async (request, reply): Promise<ExecutionList> => {
      const { project = "", status, limit = DEFAULT_LIMIT, cursor = "", retry_of } = request.query;
      const page = await router.listExecutions(
        {
          project,
          status: status === undefined ? ExecutionStatus.UNSPECIFIED : statusToProto(status),
          limit,
          cursor,
          ...(retry_of !== undefined && { retryOf: retry_of.toLowerCase() }),
        },
        backendCall(reply),
      );
      return { executions: page.executions.map(listed), next_cursor: page.nextCursor || null };
    },
  );
}

function listed(summary: ExecutionSummary): ExecutionList["executions"][number] {
  return {
    execution_id: summary.executionId,
    project: summary.project,
    status: statusFromProto(summary.status) ?? "pending",
    end_reason: endReasonFromProto(summary.endReason) ?? null,
    execution_time_ms: summary.executionTimeMs ?? null,
    created_at: new Date(summary.createdAtMs).toISOString(),
    ended_at: summary.endedAtMs === undefined ? null : new Date(summary.endedAtMs).toISOString(),
  };
}
