import { Readable } from "node:stream";
import type { FastifyReply } from "fastify";
import type { Drain } from "#common/service/drain.ts";
import type { OutputFrom } from "#proto/router.ts";
import type { RouterBackend } from "../../backends/router.ts";
import {
  type ExecutionForm,
  executionText,
  type ShownExecution,
} from "../../execution-text/execution-text.ts";
import { holdExecution } from "../../use-cases/executions.ts";
import { backendCall } from "../request/backend-call.ts";
import { countAnswer } from "./answers.ts";

/**
 * Waits until the execution awaits a response or has ended, or until `poll.waitMs` are over, and resolves to
 * the execution. A large one is fetched only after its memory was reserved in the answer budget for `reply`.
 */
export function hold(
  router: RouterBackend,
  drain: Drain,
  reply: FastifyReply,
  poll: { readonly id: string; readonly waitMs: number; readonly outputFrom?: OutputFrom | undefined },
): Promise<ShownExecution> {
  const call = backendCall(reply);
  const reserveMemory = (bytes: number) => reply.answerHold.reserve(bytes, call.signal);
  return holdExecution(router, drain, poll, call, reserveMemory);
}

export async function sendExecution(
  reply: FastifyReply,
  execution: ShownExecution,
  form: ExecutionForm = {},
): Promise<FastifyReply> {
  const pieces = await executionText(execution, form);
  reply.type("application/json; charset=utf-8");
  const [only] = pieces;
  if (pieces.length === 1) return reply.send(only);
  const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
  reply.header("content-length", bytes);
  countAnswer(reply, bytes);
  return reply.send(Readable.from(pieces));
}
