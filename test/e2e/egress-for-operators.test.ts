import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runAirlock, startAirlock, type TestAirlock } from "../support/airlock.ts";
import { type RestClient, restClient } from "../support/rest.ts";

// Nothing of it leaves: the proxy refuses before any name is looked up.
const FLOOD = `
import contextlib, urllib.error, urllib.request
refused = 0
for n in range(100):
    try: urllib.request.urlopen(f"http://made-up-name-{n}.example/")
    except urllib.error.HTTPError as error: refused += error.code == 403
set_result(refused)
`;

let airlock: TestAirlock;
let rest: RestClient;
let executionId: string;

const metrics = async () => await (await fetch(`${airlock.url}/metrics`)).text();

beforeAll(async () => {
  airlock = await startAirlock({ projects: { net: "network_allowlist: [api.example]\n" } });
  rest = restClient(airlock.url);
  executionId = await rest.submit({ project: "net", code: FLOOD });
  expect((await rest.settled(executionId)).result).toBe(100);
});
afterAll(() => airlock.remove());

describe("what a hostile script tried on the network", () => {
  it("is counted in GET /metrics, whole and without any name that the script made up", async () => {
    await expect.poll(metrics).toMatch(/^airlock_egress_bytes_total\{project="net",direction="out"\} \d+$/m);
    const text = await metrics();
    expect(text).toContain('airlock_egress_attempts_total{project="net",verdict="not_listed"} 100\n');
    expect(text).toContain('airlock_egress_open_routes{project="net"} 0\n');
    expect(text).toContain("airlock_http_requests_total{");
    expect(text).not.toContain("made-up");
  });

  it("is in the log, with a bound, and readable", async () => {
    const args = ["logs", executionId, "--data", airlock.dataDirectory];
    const { stdout } = await runAirlock(args);
    const lines = stdout.split("\n").filter((line) => line.includes("egress attempt"));
    expect(lines).toHaveLength(21);
    expect(lines[0]).toMatch(
      /WARN {2}egress {7}egress attempt project=net executionId=\S+ host="mad….+" port=80 verdict=not_listed$/,
    );
    expect(lines[20]).toMatch(/egress attempts after the first 20 .*verdicts=\{"not_listed":80\}$/);
    expect(airlock.output().match(/^egress: net: egress attempt: not_listed$/gm)).toHaveLength(20);
  });
});
