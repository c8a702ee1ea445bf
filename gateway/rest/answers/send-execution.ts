import { Readable } from "node:stream";
import type { FastifyReply } from "fastify";
import { hasCode } from "#common/errors.ts";
import type { Drain } from "#common/service/drain.ts";
import type { OutputFrom } from "#proto/router.ts";
import type { Backend } from "../../backends/backend.ts";
import {
  type ExecutionForm,
  executionText,
  type ShownExecution,
} from "../../execution-text/execution-text.ts";
import { backendCall } from "../request/backend-call.ts";
import { countAnswer } from "./answers.ts";

/**
 * The execution, held until it needs attention, has ended, or `waitMs` are over. Long polls end at once, with what there is,
 * when the gateway is about to stop.
 */
export async function holdExecution(
  backend: Backend,
  drain: Drain,
  reply: FastifyReply,
  id: string,
  waitMs: number,
  outputFrom?: OutputFrom,
): Promise<ShownExecution> {
  const call = backendCall(reply);
  const gone = call.signal;
  const room = (bytes: number) => reply.answerHold.reserve(bytes, gone);
  if (waitMs === 0 || drain.begun) return backend.getExecution(id, 0, call, room, outputFrom);
  const hold = new AbortController();
  gone.addEventListener("abort", () => hold.abort(), { once: true });
  const release = drain.onBegin(() => hold.abort());
  try {
    return await backend.getExecution(id, waitMs, { ...call, signal: hold.signal }, room, outputFrom);
  } catch (error) {
    if (!drain.begun || !hasCode(error, "cancelled")) throw error;
    return await backend.getExecution(id, 0, call, room, outputFrom);
  } finally {
    release();
  }
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
