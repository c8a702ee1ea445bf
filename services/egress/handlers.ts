import { AirlockError } from "#common/errors.ts";
import { handlersFor } from "#common/grpc/server.ts";
import type { Log } from "#common/service/log.ts";
import type { EgressServiceServer } from "#proto/egress.ts";
import type { OpenRouteFor } from "./route-opener.ts";

/**
 * The gRPC methods of the egress service. A router opens the network route of a run with a `holdRoute`
 * stream, and gives the route up when this stream ends.
 */
export function egressHandlers(openRoute: OpenRouteFor, log: Log): EgressServiceServer {
  const { serverStream } = handlersFor(log);
  return {
    holdRoute: serverStream(async function* (request, { signal }) {
      const { project, executionId, workerId, workerAddress } = request;
      if ([project, executionId, workerId, workerAddress].includes("")) {
        throw new AirlockError(
          "invalid_request",
          "`project`, `execution_id`, `worker_id` or `worker_address` is missing.",
        );
      }
      const route = await openRoute(request, signal);
      try {
        if (signal.aborted) return;
        yield { network: route.network };
        if (signal.aborted) return;
        await new Promise<void>((resolve) =>
          signal.addEventListener("abort", () => resolve(), { once: true }),
        );
      } finally {
        route.close();
      }
    }),
  };
}
