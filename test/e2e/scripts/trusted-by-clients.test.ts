import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { createTestCertificates, type EchoServer, startEchoServer } from "../../harness/echo-server.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";

const SECRET = "brokered-5d1c0b7e93f2-value";
// The clients are imported before the run, which is before its authorities are known.
const CLIENTS = `
import asyncio, sys, urllib.request
preloaded = sorted({"aiohttp", "httpx", "requests"} & set(sys.modules))
import aiohttp, httpx, requests
headers = {"authorization": settings.get("TOKEN") or "none"}
async def by_aiohttp():
    async with aiohttp.ClientSession(trust_env=True) as session:
        async with session.get(URL, headers=headers) as response: return response.status
set_result([
    preloaded,
    urllib.request.urlopen(urllib.request.Request(URL, headers=headers)).status,
    requests.get(URL, headers=headers).status_code,
    requests.Session().get(URL, headers=headers).status_code,
    httpx.get(URL, headers=headers).status_code,
    asyncio.run(by_aiohttp()),
])
`;

describe("a server that an authority of AIRLOCK_EGRESS_EXTRA_CA has certified", () => {
  let directory: string;
  let server: EchoServer;
  let airlock: TestAirlock;
  let rest: RestClient;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "airlock-clients-"));
    const certificates = await createTestCertificates();
    await writeFile(join(directory, "authority.pem"), certificates.authority);
    server = await startEchoServer(await certificates.issue(["localhost"]));
    const host = `localhost:${server.port}`;
    const common = `packages: [requests, httpx, aiohttp]\nallow_private: ["127.0.0.1", "::1"]\n`;
    airlock = await startAirlock({
      projects: {
        passed: `${common}network_allowlist: ["${host}"]\n`,
        brokered: `${common}secrets:\n  TOKEN: {value: "\${env:TOKEN}", inject: {host: "${host}", header: Authorization}}\n`,
      },
      env: { AIRLOCK_EGRESS_EXTRA_CA: join(directory, "authority.pem"), TOKEN: SECRET },
    });
    rest = restClient(airlock.url);
  });
  afterAll(async () => {
    await airlock?.remove();
    await server?.close();
    await rm(directory, { recursive: true });
  });

  it.each([
    [
      "is trusted by urllib, requests, httpx and aiohttp where its connections pass through",
      "passed",
      "none",
    ],
    ["is reached by all of them where its secret is brokered", "brokered", SECRET],
  ])(
    "a server that an authority of AIRLOCK_EGRESS_EXTRA_CA has certified %s",
    { timeout: 600_000 },
    async (_, project, sent) => {
      server.seen.length = 0;
      const code = `URL = "https://localhost:${server.port}/"\n${CLIENTS}`;
      const execution = await rest.run({ project, code, timeout: 60 });
      expect(execution).toMatchObject({
        error: null,
        result: [["aiohttp", "httpx", "requests"], 200, 200, 200, 200, 200],
      });
      expect(server.seen.map(({ headers }) => headers.authorization)).toEqual(Array(5).fill(sent));
    },
  );
});
