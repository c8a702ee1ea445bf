import { afterAll, beforeAll, expect, it } from "vitest";
import type { AirlockError } from "#common/errors.ts";
import { callUnary, connectTo } from "#common/grpc/client.ts";
import { PoolManagerServiceClient } from "#proto/pool_manager.ts";
import { SubmitRequest } from "#proto/router.ts";
import { principal } from "../../harness/principals.ts";
import { startServices, type TestServices } from "../../harness/services.ts";

const LIMITED = principal("key:limited", "admin", { projects: ["demo"] });
const LIMITS = { timeoutMs: 10_000, principal: LIMITED };

let services: TestServices;
let pools: PoolManagerServiceClient;

beforeAll(async () => {
  services = await startServices({ demo: "replicas: 1\n", other: "replicas: 1\n" });
  pools = connectTo(PoolManagerServiceClient, services.address("pool-manager"));
}, 60_000);
afterAll(async () => {
  pools.close();
  await services.close();
});

const CALLS: Readonly<Record<string, (project: string) => Promise<unknown>>> = {
  Submit: (project) =>
    callUnary(
      services.router,
      services.router.submit,
      SubmitRequest.fromPartial({ project, code: "1" }),
      "router",
      LIMITS,
    ),
  HoldProject: (project) =>
    callUnary(services.router, services.router.holdProject, { project }, "router", LIMITS),
  ReleaseProject: (project) =>
    callUnary(services.router, services.router.releaseProject, { project }, "router", LIMITS),
  DownProject: (name) => callUnary(pools, pools.downProject, { name }, "pool-manager", LIMITS),
  UpProject: (name) => callUnary(pools, pools.upProject, { name }, "pool-manager", LIMITS),
};

it.each(Object.keys(CALLS))(
  "%s of a principal that is limited to some projects is refused for every other project",
  async (rpc) => {
    const call = CALLS[rpc] as (project: string) => Promise<unknown>;
    const refused = await call("other").catch((error: unknown) => error as AirlockError);
    expect(refused).toMatchObject({ code: "permission_denied" });
    expect((refused as AirlockError).message).toContain("key:limited is for these projects only: demo");
    await expect(call("demo")).resolves.toBeDefined();
  },
);
