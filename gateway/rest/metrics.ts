import type { FastifyInstance } from "fastify";
import { Counter, Histogram, type Registry } from "prom-client";

/**
 * Counts and times every request by route template. Labels with the path would have no limit, because paths
 * hold ids.
 */
export function observeRequests(app: FastifyInstance, registry: Registry): void {
  const labelNames = ["method", "route", "status"] as const;
  const requests = new Counter({
    name: "airlock_http_requests_total",
    help: "HTTP requests answered.",
    labelNames,
    registers: [registry],
  });
  const durations = new Histogram({
    name: "airlock_http_request_duration_seconds",
    help: "Time from the request's headers to the end of the answer; long polls last as long as they are held.",
    labelNames,
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 20, 60],
    registers: [registry],
  });
  app.addHook("onResponse", async (request, reply) => {
    const labels = {
      method: request.method,
      route: request.routeOptions.url ?? "unmatched",
      status: String(reply.statusCode),
    };
    requests.inc(labels);
    durations.observe(labels, reply.elapsedTime / 1_000);
  });
}
