import { createLog } from "#common/service/log.ts";
import { startGateway } from "../../gateway/main.ts";
import { restClient } from "./rest.ts";
import type { TestServices } from "./services.ts";

/** Starts a gateway before these services, with a REST client. */
export async function openGateway(services: Pick<TestServices, "address">) {
  const gateway = await startGateway(
    {
      host: "127.0.0.1",
      port: 0,
      routerAddress: services.address("router"),
      poolManagerAddress: services.address("pool-manager"),
      authorityAddress: services.address("authority"),
    },
    createLog("gateway", "silent"),
  );
  return { ...restClient(`http://127.0.0.1:${gateway.port}`), stop: () => gateway.drain(0) };
}

export type TestGateway = Awaited<ReturnType<typeof openGateway>>;
