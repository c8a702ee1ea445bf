import { lookup } from "node:dns/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { callUnary } from "#common/grpc/client.ts";
import { EndReason, type Execution } from "#proto/execution.ts";
import { type DnsServer, SILENT, startDnsServer } from "../../harness/dns-server.ts";
import { type EchoServer, startEchoServer } from "../../harness/echo-server.ts";
import { startServices, type TestServices } from "../../harness/services.ts";
import { HTTP_HELPERS } from "../../security/cases/script-helpers.ts";

const NAMES = 100;
const REQUESTS = 40;
// The numbers of docs/security.md.
const AT_ONCE = 8;

let dns: DnsServer;
let echo: EchoServer;
let services: TestServices;
/** Names below slow.example are answered when this is true. */
let answersSlowNames = false;

beforeAll(async () => {
  dns = await startDnsServer((name) => {
    if (name.endsWith(".slow.example")) return answersSlowNames ? { ipv4: ["192.0.2.1"] } : SILENT;
    return name.endsWith(".quiet.example") ? { ipv4: ["127.0.0.1"] } : undefined;
  });
  echo = await startEchoServer();
  services = await startServices(
    {
      red: 'network_allowlist: ["*.slow.example"]\n',
      quiet: `network_allowlist: ["*.quiet.example:${echo.port}", "localhost:${echo.port}"]\nallow_private: [127.0.0.0/8, "::1"]\n`,
    },
    { dnsServers: [dns.address] },
  );
});
afterAll(async () => {
  await services.close();
  await echo.close();
  dns.close();
});

const FLOOD = `
import base64, os, socket, time
credentials, _, address = os.environ["HTTP_PROXY"][7:].rpartition("@")
host, _, port = address.partition(":")
authorization = base64.b64encode(credentials.encode()).decode()
connections = []
for name in range(${NAMES}):
    connection = socket.create_connection((host, int(port)))
    target = f"a{name}.slow.example:443"
    connection.sendall(f"CONNECT {target} HTTP/1.1\\r\\nHost: {target}\\r\\nProxy-Authorization: Basic {authorization}\\r\\n\\r\\n".encode())
    connections.append(connection)
print("flooding", flush=True)
time.sleep(50)
`;

async function ended(id: string): Promise<Execution> {
  for (;;) {
    const execution = await services.get(id, 10_000);
    if (execution.endReason !== EndReason.UNSPECIFIED) return execution;
  }
}

/** The 95th percentile, in milliseconds, of requests to names that were not looked up before, and to localhost. */
async function quietP95(round: string): Promise<number> {
  const code = `${HTTP_HELPERS}
import time
times = []
for at in range(${REQUESTS}):
    name = f"${round}{at}.quiet.example" if at % 2 else "localhost"
    begun = time.perf_counter()
    status, text, _ = get(f"http://{name}:${echo.port}/")
    times.append((time.perf_counter() - begun) * 1000)
    assert status == 200, (name, status, text)
set_result(sorted(times)[${Math.ceil(REQUESTS * 0.95) - 1}])
`;
  const execution = await ended(await services.submit({ project: "quiet", code, timeoutMs: 60_000 }));
  expect(execution).toMatchObject({ endReason: EndReason.COMPLETED, error: undefined });
  return JSON.parse(execution.resultJson) as number;
}

const slowNamesAsked = () =>
  new Set(
    dns.asked.map((question) => question.split(" ")[1]).filter((name) => name?.endsWith(".slow.example")),
  );

it("lookups that no DNS server answers delay their own run only, and are dropped when it ends", async () => {
  await quietP95("warm");
  const before = await quietP95("before");
  const flood = await services.submit({ project: "red", code: FLOOD, timeoutMs: 60_000 });
  await expect.poll(() => slowNamesAsked().size, { timeout: 20_000 }).toBe(AT_ONCE);
  const during = await quietP95("during");
  expect(during).toBeLessThan(2 * before + 20);
  // The lookup that gRPC makes for the addresses of other services.
  const startedMs = performance.now();
  await lookup("localhost");
  expect(performance.now() - startedMs).toBeLessThan(500);
  expect(slowNamesAsked().size).toBeLessThan(NAMES / 2);

  await callUnary(services.router, services.router.cancel, { executionId: flood }, "router", {
    timeoutMs: 5_000,
  });
  await ended(flood);
  dns.asked.length = 0;
  answersSlowNames = true;
  const code = `${HTTP_HELPERS}\nset_result(get("http://after.slow.example/")[0])\n`;
  const begunMs = performance.now();
  const next = await ended(await services.submit({ project: "red", code, timeoutMs: 30_000 }));
  // Its address is not public. That it has one is what counts.
  expect(next).toMatchObject({ endReason: EndReason.COMPLETED, resultJson: "403" });
  expect(performance.now() - begunMs).toBeLessThan(5_000);
  // None of the first run's names is asked for any more: neither those in the line nor those that were under way.
  expect([...slowNamesAsked()]).toEqual(["after.slow.example"]);
});
