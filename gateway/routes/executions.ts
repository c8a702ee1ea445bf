import { Readable } from "node:stream";
import type { FastifyInstance, FastifyReply } from "fastify";
import type { Drain } from "../../services/common/drain.ts";
import { hasCode } from "../../services/common/errors.ts";
import type { Execution } from "../../services/common/gen/airlock/v1/execution.ts";
import type { Backend } from "../backend.ts";
import { clientSignal } from "../client-signal.ts";
import { executionId } from "../execution-id.ts";
import { executionText } from "../execution-text.ts";
import { InvalidFields } from "../problems.ts";
import {
  EMPTY_OBJECT,
  EXECUTION_PARAMS,
  type ExecutionParams,
  RESPOND_BODY,
  type RespondBody,
  WAIT_QUERY,
  type WaitQuery,
} from "../schemas/execution.ts";
import { BODY_CODES, problemResponses, SERVICE_CODES } from "../schemas/problem.ts";
import { textProblem } from "../text-rules.ts";

const found = {
  description: "The execution as it stands.",
  content: { "application/json": { schema: { $ref: "Execution#" } } },
} as const;

export function executionRoutes(app: FastifyInstance, backend: Backend, drain: Drain): void {
  app.get<{ Params: ExecutionParams; Querystring: WaitQuery }>(
    "/executions/:execution_id",
    {
      schema: {
        operationId: "getExecution",
        tags: ["executions"],
        summary: "Read an execution",
        description: "With `wait` the answer is held until the status is no longer pending or running.",
        params: EXECUTION_PARAMS,
        querystring: WAIT_QUERY,
        response: {
          200: found,
          ...problemResponses("invalid_request", "execution_not_found", "output_withheld", ...SERVICE_CODES),
        },
      },
    },
    async (request, reply) => {
      const id = executionId(request.params);
      const waitMs = Math.round((request.query.wait ?? 0) * 1_000);
      return sendExecution(reply, await holdExecution(backend, drain, reply, id, waitMs));
    },
  );

  app.post<{ Params: ExecutionParams; Body: RespondBody }>(
    "/executions/:execution_id/respond",
    {
      schema: {
        operationId: "respond",
        tags: ["executions"],
        summary: "Answer llm.complete()",
        description: "Of two racing answers one wins; the other is refused with 409.",
        params: EXECUTION_PARAMS,
        body: RESPOND_BODY,
        response: {
          200: found,
          ...problemResponses(
            ...BODY_CODES,
            "execution_not_found",
            "not_awaiting_llm",
            "llm_request_mismatch",
            "worker_lost",
            ...SERVICE_CODES,
          ),
        },
      },
    },
    async (request, reply) => {
      const { response, llm_request_id: llmRequestId } = request.body;
      const problem = textProblem("response", response);
      if (problem) throw new InvalidFields([problem]);
      return sendExecution(
        reply,
        await backend.respond({ executionId: executionId(request.params), llmRequestId, response }),
      );
    },
  );

  app.post<{ Params: ExecutionParams }>(
    "/executions/:execution_id/cancel",
    {
      config: { bodyOptional: true },
      schema: {
        operationId: "cancel",
        tags: ["executions"],
        summary: "End an execution",
        description: "It ends as error with end_reason cancelled.",
        params: EXECUTION_PARAMS,
        body: EMPTY_OBJECT,
        response: {
          200: found,
          ...problemResponses(...BODY_CODES, "execution_not_found", "already_ended", ...SERVICE_CODES),
        },
      },
    },
    async (request, reply) => sendExecution(reply, await backend.cancel(executionId(request.params))),
  );
}

/** Long polls end at once, with what there is, when the gateway is about to stop. */
async function holdExecution(
  backend: Backend,
  drain: Drain,
  reply: FastifyReply,
  id: string,
  waitMs: number,
): Promise<Execution> {
  const gone = clientSignal(reply);
  if (waitMs === 0 || drain.begun) return backend.getExecution(id, 0, gone);
  const hold = new AbortController();
  gone.addEventListener("abort", () => hold.abort(), { once: true });
  const release = drain.onBegin(() => hold.abort());
  try {
    return await backend.getExecution(id, waitMs, hold.signal);
  } catch (error) {
    if (!drain.begun || !hasCode(error, "cancelled")) throw error;
    return await backend.getExecution(id, 0, gone);
  } finally {
    release();
  }
}

async function sendExecution(reply: FastifyReply, execution: Execution): Promise<FastifyReply> {
  const pieces = await executionText(execution);
  reply.type("application/json; charset=utf-8");
  const [only] = pieces;
  if (pieces.length === 1) return reply.send(only);
  reply.header(
    "content-length",
    pieces.reduce((sum, piece) => sum + piece.length, 0),
  );
  return reply.send(Readable.from(pieces));
}
