import type { Clock } from "../common/clock.ts";
import { AirlockError } from "../common/errors.ts";
import type { SanitizerServiceServer } from "../common/gen/airlock/v1/sanitizer.ts";
import { handlersFor } from "../common/grpc-server.ts";
import type { Log } from "../common/log.ts";
import { CONFIRM_EVERY_MS, type NeedleCache } from "./needle-cache.ts";
import { SanitizerSession } from "./session.ts";

export function sanitizerHandlers(cache: NeedleCache, clock: Clock, log: Log): SanitizerServiceServer {
  return {
    sanitize: handlersFor(log).duplex(async (stream, { signal }) => {
      const first = (await stream.next())?.message;
      if (first?.$case !== "open") throw outOfOrder("`open` must be the first message.");
      const { project, executionId, secretsVersion } = first.value;
      const needles = await cache.needlesFor(project, secretsVersion, signal).catch((error: AirlockError) => {
        const why = error.cause instanceof AirlockError ? error.cause : error;
        log.warn({ project, executionId, code: why.code, reason: why.message }, "output withheld");
        throw error;
      });
      const session = new SanitizerSession(needles, signal);
      // The pool-manager gave the worker these values a moment ago.
      let confirmedMs = clock.now();
      const letGo = cache.hold(project, secretsVersion);
      try {
        for (let next = await stream.next(); next; next = await stream.next()) {
          if (next.message?.$case !== "chunk")
            throw outOfOrder("Every message after `open` must be a `chunk`.");
          if (clock.now() - confirmedMs >= CONFIRM_EVERY_MS) {
            session.use(await cache.confirm(project, secretsVersion));
            confirmedMs = clock.now();
          }
          for await (const response of session.take(next.message.value)) await stream.send(response);
        }
      } finally {
        letGo();
      }
    }),
  };
}

function outOfOrder(message: string): AirlockError {
  return new AirlockError("invalid_request", message);
}
