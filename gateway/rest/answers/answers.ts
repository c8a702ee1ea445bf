import type { FastifyInstance, FastifyReply } from "fastify";
import { isClosed, onceClosed } from "#common/http/response-closed.ts";
import { clientSignal } from "../request/client-signal.ts";
import { AnswerBudget, type AnswerHold, SMALL_BYTES } from "./answer-budget.ts";
import { StalledAnswers, wayOf } from "./stalled-answers.ts";

/**
 * Bytes of the largest answer that is not counted against the answer budget, because the kernel's send buffer
 * of a connection holds all of it.
 */
const UNCOUNTED_BYTES = 4 * 1024;

declare module "fastify" {
  interface FastifyReply {
    /** The memory of the answer budget that is reserved for this reply. */
    answerHold: AnswerHold;
    /**
     * Closes the connections of clients that stop reading their answer. Routes that write to the raw response
     * must call its `watch`, because fastify's hooks do not see such an answer.
     */
    stalledAnswers: StalledAnswers;
  }
}

/**
 * Limits the memory and the time that slow clients cost: all answers share a budget of bytes, and the
 * connection of a client that reads nothing of its answer for `stalledAfterMs` is closed.
 */
export function boundAnswers(app: FastifyInstance, stalledAfterMs: number): void {
  const budget = new AnswerBudget();
  const small = AnswerBudget.ofSmall();
  const stalled = new StalledAnswers(stalledAfterMs);
  app.decorateReply("answerHold");
  app.decorateReply("stalledAnswers");
  app.addHook("onRequest", async (_request, reply) => {
    const hold = budget.open();
    reply.answerHold = hold;
    reply.stalledAnswers = stalled;
    onceClosed(reply.raw, () => hold.release());
  });
  app.addHook("onSend", async (request, reply, payload) => {
    // The client has disconnected, and this answer is the refusal (`cancelled`) for that: there is no client
    // to send it to.
    if (isClosed(reply.raw)) return;
    const isText = typeof payload === "string";
    if (isText || payload instanceof Buffer) {
      const bytes = isText ? Buffer.byteLength(payload) : payload.length;
      if (bytes <= SMALL_BYTES && reply.answerHold.bytes === 0) {
        const hold = small.open();
        reply.answerHold = hold;
        onceClosed(reply.raw, () => hold.release());
      }
      // Only GET requests wait for memory. The answer to a change is always sent, because the change has
      // already been made.
      const mayWait = request.method === "GET" && reply.answerHold.bytes === 0;
      if (mayWait && bytes > UNCOUNTED_BYTES) await reply.answerHold.reserve(bytes, clientSignal(reply));
      countAnswer(reply, bytes);
    }
    reply.stalledAnswers.watch(reply.raw);
  });
}

/** Counts an answer of `bytes` against the answer budget until the client has read it or disconnected. */
export function countAnswer({ answerHold, raw }: FastifyReply, bytes: number): void {
  const way = wayOf(raw);
  if (!way || bytes <= UNCOUNTED_BYTES) {
    answerHold.release();
    return;
  }
  const before = way.taken();
  answerHold.sending(bytes, { ...way, taken: () => way.taken() - before });
}
