import type { FastifyInstance } from "fastify";
import { DEAD_LETTER_REASONS, endReasonFromProto, statusFromProto } from "#common/execution-names.ts";
import type { DeadLetter } from "#proto/router.ts";
import type { RouterBackend } from "../../backends/router.ts";
import { backendCall } from "../request/backend-call.ts";
import { executionId } from "../request/execution-id.ts";
import {
  DEAD_LETTER_LIST,
  DEAD_LETTER_QUERY,
  type DeadLetterList,
  type DeadLetterQuery,
  RETRIED,
  RETRY_BODY,
  RETRY_PARAMS,
  type RetryBody,
} from "../schemas/dead-letter.ts";
import { type ExecutionParams, NO_QUERY } from "../schemas/execution.ts";
import { DEAD_LETTER_LINKS } from "../schemas/links.ts";
import { BODY_CODES, problemResponses, SERVICE_CODES } from "../schemas/problem.ts";

const DEFAULT_LIMIT = 50;
const tags = ["operation"];

/** Routes for operators: list dead letters, and retry one. */
export function deadLetterRoutes(app: FastifyInstance, router: RouterBackend): void {
  app.get<{ Querystring: DeadLetterQuery }>(
    "/dead-letters",
    {
      links: DEAD_LETTER_LINKS,
      config: { permission: "dead_letter.read" },
      schema: {
        operationId: "listDeadLetters",
        tags,
        summary: "List what Airlock could not finish",
        description: `Executions that ended as ${DEAD_LETTER_REASONS.join(", ")}; newest first, page by page.`,
        querystring: DEAD_LETTER_QUERY,
        response: {
          200: {
            description: "One page.",
            content: { "application/json": { schema: DEAD_LETTER_LIST } },
          },
          ...problemResponses("invalid_request", ...SERVICE_CODES),
        },
      },
    },
    async (request, reply): Promise<DeadLetterList> => {
      const { project = "", limit = DEFAULT_LIMIT, cursor = "" } = request.query;
      const page = await router.listDeadLetters({ project, limit, cursor }, backendCall(reply));
      return { dead_letters: page.deadLetters.map(listed), next_cursor: page.nextCursor || null };
    },
  );

  app.post<{ Params: ExecutionParams; Body: RetryBody }>(
    "/dead-letters/:execution_id/retry",
    {
      config: { bodyOptional: true, permission: "dead_letter.retry" },
      schema: {
        operationId: "retryDeadLetter",
        tags,
        summary: "Run such a script once more",
        description:
          "A new execution with the same code, settings and memory. Part of the script may have run before: see to its side effects first.",
        params: RETRY_PARAMS,
        querystring: NO_QUERY,
        body: RETRY_BODY,
        response: {
          202: {
            description: "Accepted: the new execution ends exactly once.",
            headers: { Location: { type: "string", description: "The same as poll_url." } },
            content: { "application/json": { schema: RETRIED } },
          },
          ...problemResponses(
            ...BODY_CODES,
            "execution_not_found",
            "not_a_dead_letter",
            "already_retried",
            "project_not_found",
            "project_invalid",
            "project_held",
            "queue_full",
            "storage_full",
            ...SERVICE_CODES,
          ),
        },
      },
    },
    async (request, reply) => {
      const id = executionId(request.params);
      const again = request.body.again ?? false;
      const retried = await router.retryDeadLetter({ executionId: id, again }, backendCall(reply));
      const pollUrl = `/executions/${retried.executionId}`;
      reply.code(202).header("location", pollUrl);
      return {
        execution_id: retried.executionId,
        status: statusFromProto(retried.status),
        poll_url: pollUrl,
        retry_of: id,
      };
    },
  );
}

function listed(letter: DeadLetter): DeadLetterList["dead_letters"][number] {
  const reason = endReasonFromProto(letter.endReason);
  return {
    execution_id: letter.executionId,
    project: letter.project,
    end_reason: DEAD_LETTER_REASONS.find((known) => known === reason) ?? "worker_lost",
    error: letter.error,
    created_at: new Date(letter.createdAtMs).toISOString(),
    ended_at: new Date(letter.endedAtMs).toISOString(),
    retried_as: letter.retriedAs,
    retries: letter.retries,
  };
}
