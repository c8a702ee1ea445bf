import { AirlockError } from "../common/errors.ts";
import type { SanitizerServiceServer } from "../common/gen/airlock/v1/sanitizer.ts";
import { handlersFor } from "../common/grpc-server.ts";
import type { Log } from "../common/log.ts";
import type { NeedleCache } from "./needle-cache.ts";
import { SanitizerSession } from "./session.ts";

export function sanitizerHandlers(cache: NeedleCache, log: Log): SanitizerServiceServer {
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
      for (let next = await stream.next(); next; next = await stream.next()) {
        if (next.message?.$case !== "chunk")
          throw outOfOrder("Every message after `open` must be a `chunk`.");
        for await (const response of session.take(next.message.value)) await stream.send(response);
      }
    }),
  };
}

function outOfOrder(message: string): AirlockError {
  return new AirlockError("invalid_request", message);
}
