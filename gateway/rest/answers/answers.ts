import type { FastifyInstance, FastifyReply } from "fastify";
import { onceClosed } from "#common/http/response-closed.ts";
import { clientSignal } from "../request/client-signal.ts";
import { AnswerBudget, type AnswerHold, SMALL_BYTES } from "./answer-budget.ts";
import { StalledAnswers, takenBy } from "./stalled-answers.ts";

/** Smaller answers are not counted: the system's own buffer of a connection has more room. */
const UNCOUNTED_BYTES = 4 * 1024;

declare module "fastify" {
  interface FastifyReply {
    /** What this reply's answer takes up of what all answers may have. */
    answerHold: AnswerHold;
    /** Has to watch an answer that is sent past fastify. */
    stalledAnswers: StalledAnswers;
  }
}

/** Bounds what clients that do not read their answers make the gateway hold, in bytes and in time (`stalledAfterMs`). */
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
    const isText = typeof payload === "string";
    if (isText || payload instanceof Buffer) {
      const bytes = isText ? Buffer.byteLength(payload) : payload.length;
      if (bytes <= SMALL_BYTES && reply.answerHold.bytes === 0) {
        const hold = small.open();
        reply.answerHold = hold;
        onceClosed(reply.raw, () => hold.release());
      }
      // What changed something is answered in any case.
      const mayWait = request.method === "GET" && reply.answerHold.bytes === 0;
      if (mayWait && bytes > UNCOUNTED_BYTES) await reply.answerHold.reserve(bytes, clientSignal(reply));
      countAnswer(reply, bytes);
    }
    reply.stalledAnswers.watch(reply.raw);
  });
}

/** Counts an answer of `bytes` from now until its client has taken it. */
export function countAnswer({ answerHold, raw }: FastifyReply, bytes: number): void {
  const { socket } = raw;
  if (!socket || bytes <= UNCOUNTED_BYTES) {
    answerHold.release();
    return;
  }
  const before = takenBy(socket);
  answerHold.sending(bytes, {
    taken: () => takenBy(socket) - before,
    giveUp() {
      socket.destroy();
    },
  });
}
