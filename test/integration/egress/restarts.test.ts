import { afterAll, beforeAll, expect, it } from "vitest";
import { callUnary } from "#common/grpc/client.ts";
import { ExecutionStatus } from "#proto/execution.ts";
import { type EchoServer, startEchoServer } from "../../harness/echo-server.ts";
import { startServices, type TestServices } from "../../harness/services.ts";

const SLOW = { timeout: 60_000 };

let echo: EchoServer;
let services: TestServices;
beforeAll(async () => {
  echo = await startEchoServer();
  const network = `network_allowlist: ["echo.example:${echo.port}"]\nallow_private: [127.0.0.1]\n`;
  services = await startServices({ open: network }, { resolve: async () => ["127.0.0.1"] });
});
afterAll(async () => {
  await services.close();
  await echo.close();
});

const fetching = () => `
import time, urllib.request
def fetch():
    try:
        return urllib.request.urlopen("http://echo.example:${echo.port}/", timeout=3).status
    except Exception as error:
        return str(error)
`;
const restartEgress = async () => {
  await services.stop("egress");
  await services.start("egress");
};

it("a script that runs has its network again when the egress service has been restarted", SLOW, async () => {
  const code = `${fetching()}
assert fetch() == 200
print("on", flush=True)
seen = []
for _ in range(12):
    seen.append(fetch())
    time.sleep(0.25)
set_result(seen[-3:])`;
  const id = await services.submit({ project: "open", code });
  await expect.poll(async () => (await services.get(id)).stdout, SLOW).toBe("on\n");
  await restartEgress();
  expect(await services.get(id, 50_000)).toMatchObject({ resultJson: "[200,200,200]" });
});

it(
  "a script that was paused while the egress service was restarted has its network again, too",
  SLOW,
  async () => {
    const code = `${fetching()}
before = fetch()
llm.complete("?")
set_result([before, fetch()])`;
    const id = await services.submit({ project: "open", code });
    expect(await services.get(id, 50_000)).toMatchObject({ status: ExecutionStatus.AWAITING_LLM });
    await restartEgress();
    const { router } = services;
    const answer = { executionId: id, response: "go on" };
    await callUnary(router, router.respond, answer, "router", { timeoutMs: 10_000 });
    expect(await services.get(id, 50_000)).toMatchObject({ resultJson: "[200,200]" });
  },
);
