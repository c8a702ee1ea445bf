import type { FastifyInstance } from "fastify";
import type { RouterBackend } from "../../backends/router.ts";
import { backendCall } from "../request/backend-call.ts";
import { executionId } from "../request/execution-id.ts";
import { EXECUTION_PARAMS, type ExecutionParams, NO_QUERY, REDACTIONS } from "../schemas/execution.ts";
import { problemResponses, SERVICE_CODES } from "../schemas/problem.ts";

/** The route of an execution's redaction counts. It is for operators, and not a part of what agents poll. */
export function redactionsRoute(app: FastifyInstance, router: RouterBackend): void {
  app.get<{ Params: ExecutionParams }>(
    "/executions/:execution_id/redactions",
    {
      config: { permission: "redaction.read" },
      schema: {
        operationId: "getRedactions",
        tags: ["operation"],
        summary: "Read what was redacted",
        description:
          "How often each secret, and each kind of unknown credential, was redacted from each part of the execution.",
        params: EXECUTION_PARAMS,
        querystring: NO_QUERY,
        response: {
          200: {
            description: "The redactions of the documents that are complete.",
            content: { "application/json": { schema: REDACTIONS } },
          },
          ...problemResponses("invalid_request", "execution_not_found", ...SERVICE_CODES),
        },
      },
    },
    async (request, reply) => {
      const id = executionId(request.params);
      const redactions = await router.getRedactions(id, backendCall(reply));
      return {
        execution_id: id,
        redactions: redactions.map(({ secret, field, count }) => ({ secret, field, count })),
      };
    },
  );
}
