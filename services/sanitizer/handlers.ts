import { AirlockError, hasCode } from "#common/errors.ts";
import { ownerOf } from "#common/event-loop/turn.ts";
import { handlersFor } from "#common/grpc/server.ts";
import type { Log } from "#common/service/log.ts";
import type { SanitizerServiceServer } from "#proto/sanitizer.ts";
import { loadRules } from "./credentials/rules.ts";
import type { NeedleCache } from "./needle-cache.ts";
import type { SanitizerMetrics } from "./sanitizer-metrics.ts";
import { AT_WORK, SanitizerSession, SIGN_MS } from "./session.ts";

/**
 * The gRPC handlers of the sanitizer. The router opens one stream for each execution: `open` names the
 * project and the version of its secrets, `chunk` messages have the output, and the responses are the
 * redacted output.
 */
export function sanitizerHandlers(
  cache: NeedleCache,
  metrics: SanitizerMetrics,
  log: Log,
): SanitizerServiceServer {
  return {
    sanitize: handlersFor(log).duplex(async (stream, { signal }) => {
      const first = (await stream.next())?.message;
      if (first?.$case !== "open") throw outOfOrder("`open` must be the first message.");
      const { project, executionId, secretsVersion } = first.value;
      let signs: NodeJS.Timeout | undefined;
      const compile = () => {
        // Compiling a project's needles may take many seconds, because it alternates with other work of the
        // sanitizer. An empty response every second keeps the router from giving this session up as dead.
        signs = setInterval(() => void stream.send(AT_WORK).catch(() => undefined), SIGN_MS);
      };
      const [needles, judge] = await Promise.all([
        cache.needlesFor(project, secretsVersion, signal, compile),
        loadRules(),
      ])
        .catch((error: AirlockError) => {
          const why = error.cause instanceof AirlockError ? error.cause : error;
          log.warn({ project, executionId, code: why.code, reason: why.message }, "output withheld");
          metrics.withheld(project);
          throw error;
        })
        .finally(() => clearInterval(signs));
      const session = new SanitizerSession(needles, judge, signal, ownerOf(project));
      const letGo = cache.hold(project, secretsVersion);
      try {
        for (let next = await stream.next(); next; next = await stream.next()) {
          if (next.message?.$case !== "chunk")
            throw outOfOrder("Every message after `open` must be a `chunk`.");
          metrics.tookIn(project, next.message.value.data.length);
          for await (const response of session.take(next.message.value)) {
            for (const { count } of response.redactions) metrics.redacted(project, count);
            await stream.send(response);
          }
        }
      } catch (error) {
        if (hasCode(error, "output_withheld")) metrics.withheld(project);
        throw error;
      } finally {
        letGo();
      }
    }),
  };
}

function outOfOrder(message: string): AirlockError {
  return new AirlockError("invalid_request", message);
}
