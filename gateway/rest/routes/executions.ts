import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Drain } from "#common/service/drain.ts";
import type { BackendChange } from "../../backends/call.ts";
import type { RouterBackend } from "../../backends/router.ts";
import type { ShownExecution } from "../../execution-text/execution-text.ts";
import { hold, sendExecution } from "../answers/send-execution.ts";
import { dropBody } from "../body/body.ts";
import { InvalidFields } from "../problems.ts";
import { backendCall } from "../request/backend-call.ts";
import { executionId } from "../request/execution-id.ts";
import { textProblem } from "../request/text-rules.ts";
import {
  EMPTY_OBJECT,
  EXECUTION,
  EXECUTION_PARAMS,
  type ExecutionParams,
  NO_QUERY,
  READ_QUERY,
  RESPOND_BODY,
  type ReadQuery,
  type RespondBody,
  WAIT_QUERY,
  type WaitQuery,
} from "../schemas/execution.ts";
import { BODY_CODES, problemResponses, SERVICE_CODES } from "../schemas/problem.ts";

const found = {
  description: "The execution as it stands.",
  content: { "application/json": { schema: EXECUTION } },
} as const;

export function executionRoutes(app: FastifyInstance, router: RouterBackend, drain: Drain): void {
  app.get<{ Params: ExecutionParams; Querystring: ReadQuery }>(
    "/executions/:execution_id",
    {
      config: { permission: "execution.read" },
      schema: {
        operationId: "getExecution",
        tags: ["executions"],
        summary: "Read an execution",
        description:
          "With `wait` the answer is held until the status is no longer pending or running, or the time is over. All output so far comes with every answer, unless `stdout_from` and `stderr_from` leave out what the client has.",
        params: EXECUTION_PARAMS,
        querystring: READ_QUERY,
        response: {
          200: found,
          ...problemResponses("invalid_request", "execution_not_found", "output_withheld", ...SERVICE_CODES),
        },
      },
    },
    async (request, reply) => {
      const id = executionId(request.params);
      const waitMs = Math.round((request.query.wait ?? 0) * 1_000);
      const { stdout_from: stdout = 0, stderr_from: stderr = 0 } = request.query;
      const from = stdout > 0 || stderr > 0 ? { stdout, stderr } : undefined;
      const execution = await hold(router, drain, reply, { id, waitMs, outputFrom: from });
      return sendExecution(reply, execution, { resultAsText: request.query.result === "text" });
    },
  );

  app.post<{ Params: ExecutionParams; Body: RespondBody; Querystring: WaitQuery }>(
    "/executions/:execution_id/respond",
    {
      // An answer to a question that was asked, so it counts like the poll that showed the question.
      config: { permission: "execution.respond", countedAs: "read" },
      schema: {
        operationId: "respond",
        tags: ["executions"],
        summary: "Answer llm.complete()",
        description:
          "Of two racing answers one wins; the other is refused with 409. With `wait` the answer is held until the script has ended or asks again, or the time is over.",
        params: EXECUTION_PARAMS,
        querystring: WAIT_QUERY,
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
      const answered = await answer(request, router, backendCall(reply));
      dropBody(request);
      const { wait = 0, result } = request.query;
      const execution = wait > 0 ? await laterThan(answered, wait, { router, drain, reply }) : answered;
      return sendExecution(reply, execution, { resultAsText: result === "text" });
    },
  );

  app.post<{ Params: ExecutionParams }>(
    "/executions/:execution_id/cancel",
    {
      config: { bodyOptional: true, permission: "execution.cancel" },
      schema: {
        operationId: "cancel",
        tags: ["executions"],
        summary: "End an execution",
        description: "It ends as error with end_reason cancelled.",
        params: EXECUTION_PARAMS,
        querystring: NO_QUERY,
        body: EMPTY_OBJECT,
        response: {
          200: found,
          ...problemResponses(...BODY_CODES, "execution_not_found", "already_ended", ...SERVICE_CODES),
        },
      },
    },
    async (request, reply) =>
      sendExecution(reply, await router.cancel(executionId(request.params), backendCall(reply))),
  );
}

/**
 * Waits until the execution has ended, pauses with the next llm request, or `waitSeconds` are over. Returns
 * `answered`, the execution as the router returned it when it accepted the agent's response, when the wait
 * fails, because an accepted response must not look refused.
 */
async function laterThan(
  answered: ShownExecution,
  waitSeconds: number,
  { router, drain, reply }: { router: RouterBackend; drain: Drain; reply: FastifyReply },
): Promise<ShownExecution> {
  try {
    return await hold(router, drain, reply, {
      id: answered.executionId,
      waitMs: Math.round(waitSeconds * 1_000),
    });
  } catch {
    return answered;
  }
}

/**
 * Passes the agent's response to the router. This is a function of its own so that its references to the body
 * are gone when it returns.
 */
async function answer(
  request: FastifyRequest<{ Params: ExecutionParams; Body: RespondBody }>,
  router: RouterBackend,
  call: BackendChange,
): Promise<ShownExecution> {
  const { response, llm_request_id: llmRequestId } = request.body;
  const problem = textProblem("response", response);
  if (problem) throw new InvalidFields([problem]);
  return await router.respond({ executionId: executionId(request.params), llmRequestId, response }, call);
}
