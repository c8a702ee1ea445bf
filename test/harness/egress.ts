import { once } from "node:events";
import { join } from "node:path";
import type { ClientReadableStream } from "@grpc/grpc-js";
import { connectTo } from "#common/grpc/client.ts";
import { createLog } from "#common/service/log.ts";
import type { RunningService } from "#common/service/run-service.ts";
import { EgressServiceClient, type HoldRouteResponse } from "#proto/egress.ts";
import type { RunNetwork } from "#proto/worker.ts";
import { startEgress } from "../../services/egress/main.ts";
import { startSecrets } from "../../services/secrets/main.ts";
import { startTunnelWorker, type TunnelWorker } from "./tunnel-worker.ts";

/** A network route that is held until its stream is cancelled. */
export type HeldRoute = {
  readonly executionId: string;
  readonly network: RunNetwork;
  readonly stream: ClientReadableStream<HoldRouteResponse>;
};

/** A secrets service, an egress service and the worker's end of its tunnels. */
export type TestEgress = {
  readonly worker: TunnelWorker;
  readonly secrets: RunningService;
  readonly service: RunningService;
  /** Starts another egress service with the same projects and the same data. */
  startAnother(name: string): Promise<RunningService>;
  /** Opens a network route for an execution, with the worker above unless told otherwise. Rejects when it is refused. */
  holdRoute(
    project: string,
    executionId: string,
    more?: { readonly workerAddress?: string; readonly secretsVersion?: string },
  ): Promise<HeldRoute>;
  close(): Promise<void>;
};

/**
 * Starts the services for the project files in `directory`, in which they keep their data, too. Every host name has
 * the address 127.0.0.1.
 */
export async function startTestEgress(directory: string): Promise<TestEgress> {
  const log = createLog("test", "silent");
  const address = (name: string) => `unix:${join(directory, `${name}.sock`)}`;
  const worker = await startTunnelWorker(directory);
  const secrets = await startSecrets({ listen: address("secrets"), projectsDir: directory }, log);
  const start = (name: string) =>
    startEgress(
      {
        listen: address(name),
        secretsAddress: address("secrets"),
        projectsDirectory: directory,
        dataDirectory: directory,
        extraCaPath: undefined,
      },
      log,
      async () => ["127.0.0.1"],
    );
  const service = await start("egress");
  const client = connectTo(EgressServiceClient, service.address);
  return {
    worker,
    secrets,
    service,
    startAnother: start,
    holdRoute: (project, executionId, { workerAddress = worker.address, secretsVersion = "" } = {}) =>
      holdRoute(client, { project, executionId, workerId: "w", workerAddress, secretsVersion }),
    async close() {
      client.close();
      await service.drain(100);
      await secrets.drain(100);
      await worker.close();
    },
  };
}

/** Opens a network route at an egress service. Rejects when it is refused. */
export async function holdRoute(
  client: EgressServiceClient,
  request: Parameters<EgressServiceClient["holdRoute"]>[0],
): Promise<HeldRoute> {
  const stream = client.holdRoute(request);
  stream.on("error", () => undefined);
  const [{ network }] = (await Promise.race([
    once(stream, "data"),
    once(stream, "error").then(([error]) => Promise.reject(error)),
  ])) as [HoldRouteResponse];
  if (!network) throw new Error("the egress service answered without a network");
  return { executionId: request.executionId, network, stream };
}

/** The value of `Proxy-Authorization` with which a run uses its route. */
export function authorizationOf({ username, password }: RunNetwork): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}
