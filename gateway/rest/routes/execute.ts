import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { statusFromProto } from "#common/execution-names.ts";
import type { SchemaProblem } from "#common/projects/schema-problems.ts";
import type { Drain } from "#common/service/drain.ts";
import { settingNameProblem } from "#common/submission/limits.ts";
import { ExecutionStatus } from "#proto/execution.ts";
import type { BackendChange } from "../../backends/call.ts";
import type { RouterBackend, Submitted } from "../../backends/router.ts";
import type { ShownExecution } from "../../execution-text/execution-text.ts";
import { hold, sendExecution } from "../answers/send-execution.ts";
import { dropBody } from "../body/body.ts";
import { InvalidFields } from "../problems.ts";
import type { RequestRates } from "../rate-limit.ts";
import { backendCall } from "../request/backend-call.ts";
import { IDEMPOTENCY_HEADERS, readIdempotencyKey } from "../request/idempotency-key.ts";
import { textProblem } from "../request/text-rules.ts";
import {
  ACCEPTED,
  EXECUTE_BODY,
  EXECUTE_QUERY,
  EXECUTED,
  type ExecuteBody,
  type ExecuteQuery,
} from "../schemas/execution.ts";
import { EXECUTE_LINKS } from "../schemas/links.ts";
import { BODY_CODES, problemResponses, SERVICE_CODES } from "../schemas/problem.ts";

const headers = {
  Location: { type: "string", description: "The same as poll_url." },
  "Idempotent-Replayed": {
    type: "boolean",
    description: "true: an earlier request with this Idempotency-Key started it.",
  },
} as const;

export function executeRoute(
  app: FastifyInstance,
  router: RouterBackend,
  drain: Drain,
  rates: RequestRates | undefined,
): void {
  app.post<{ Body: ExecuteBody; Querystring: ExecuteQuery }>(
    "/execute",
    {
      links: EXECUTE_LINKS,
      config: { permission: "execution.submit" },
      schema: {
        operationId: "execute",
        tags: ["executions"],
        summary: "Run a script",
        description:
          "Accepts the script and answers at once; poll `poll_url` for the outcome. With `wait` the outcome may come with the answer; the script goes on when the client does not stay. With an `Idempotency-Key` the request may be sent again when the answer was lost.",
        querystring: EXECUTE_QUERY,
        headers: IDEMPOTENCY_HEADERS,
        body: EXECUTE_BODY,
        response: {
          200: {
            description:
              "Only with `wait`: the execution, which has ended or waits for a response (`awaiting_llm`). A script that failed is here, too.",
            headers,
            content: { "application/json": { schema: EXECUTED } },
          },
          202: {
            description: "Accepted: the execution ends exactly once.",
            headers,
            content: { "application/json": { schema: ACCEPTED } },
          },
          ...problemResponses(
            ...BODY_CODES,
            "idempotency_key_reused",
            "execution_forgotten",
            "project_not_found",
            "project_invalid",
            "project_held",
            "queue_full",
            "storage_full",
            "start_failed",
            ...SERVICE_CODES,
          ),
        },
      },
    },
    async (request, reply) => {
      const { executionId, status, replayed } = await accept(request, router, backendCall(reply), rates);
      dropBody(request);
      const { wait, result } = request.query;
      const pollUrl = `/executions/${executionId}`;
      reply.header("location", pollUrl);
      if (replayed) reply.header("idempotent-replayed", "true");
      const outcome =
        wait === undefined
          ? undefined
          : await outcomeWithin(wait * 1_000, { router, drain, reply, executionId });
      if (outcome && !isUnderWay(outcome)) {
        return sendExecution(reply, outcome, { resultAsText: result === "text", pollUrl });
      }
      reply.code(202);
      return {
        execution_id: executionId,
        status: statusFromProto(outcome?.status ?? status),
        poll_url: pollUrl,
      };
    },
  );
}

/**
 * Submits the script. This is a function of its own so that its references to the body are gone when it
 * returns.
 */
async function accept(
  request: FastifyRequest<{ Body: ExecuteBody }>,
  router: RouterBackend,
  call: BackendChange,
  rates: RequestRates | undefined,
): Promise<Submitted> {
  const { project, code, timeout, settings = {} } = request.body;
  const problems = badTexts(project, code, settings);
  if (problems.length > 0) throw new InvalidFields(problems);
  const submission = {
    project,
    code,
    timeoutMs: timeout === undefined ? undefined : toMilliseconds(timeout),
    settings,
    memoryJson: request.bodyText("memory") ?? "",
    idempotencyKey: readIdempotencyKey(request.headers["idempotency-key"]),
  };
  const submit = () => router.submit(submission, call);
  return await (rates ? rates.countStart(request, project, submit) : submit());
}

function isUnderWay({ status }: ShownExecution): boolean {
  return status === ExecutionStatus.PENDING || status === ExecutionStatus.RUNNING;
}

/**
 * Waits until the execution has ended, pauses with an llm request, or `waitMs` are over. Undefined when the
 * wait fails, because the execution was accepted and can still be polled.
 */
async function outcomeWithin(
  waitMs: number,
  {
    router,
    drain,
    reply,
    executionId,
  }: { router: RouterBackend; drain: Drain; reply: FastifyReply; executionId: string },
): Promise<ShownExecution | undefined> {
  try {
    return await hold(router, drain, reply, { id: executionId, waitMs: Math.round(waitMs) });
  } catch {
    return undefined;
  }
}

// Rounds to at least 1 ms, because the router would refuse 0. A huge timeout becomes the largest exact
// integer, which gRPC can encode.
function toMilliseconds(seconds: number): number {
  return Math.min(Math.max(1, Math.round(seconds * 1_000)), Number.MAX_SAFE_INTEGER);
}

function badTexts(
  project: string,
  code: string,
  settings: Readonly<Record<string, string>>,
): SchemaProblem[] {
  const problems = [textProblem("project", project), textProblem("code", code)];
  for (const [name, value] of Object.entries(settings)) {
    const field = `settings.${name.replaceAll("\0", "\\0")}`;
    const unusable = settingNameProblem(name);
    if (unusable) {
      const message = `has a name that cannot be used: "${name.replaceAll("\0", "\\0")}" ${unusable}`;
      problems.push({ field: "settings", message });
    }
    const nameProblem = textProblem(field, name);
    if (nameProblem) problems.push({ field, message: `is not an allowed name: it ${nameProblem.message}` });
    problems.push(textProblem(field, value));
  }
  return problems.filter((problem) => problem !== undefined);
}
