import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runAirlock, startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";

// Nothing of it leaves: the proxy refuses before any name is looked up.
const FLOOD = `
import contextlib, urllib.error, urllib.request
refused = 0
for n in range(100):
    try: urllib.request.urlopen(f"http://made-up-name-{n}.example/")
    except urllib.error.HTTPError as error: refused += error.code == 403
set_result(refused)
`;

const SECRET = "brokered-value-of-the-erp";
const NET = `network_allowlist: [api.example, "*.warehouse.example:8443"]
allow_private: [10.20.0.0/16]
limits: {network_mb: 7}
secrets:
  PLAIN: a-plain-secret-value
  ERP: {value: ${SECRET}, inject: {host: erp.example, header: Authorization, format: "Bearer {}"}}
  CRM: {value: another-${SECRET}, inject: {host: "crm.example:8443", header: X-Key}}
`;

let airlock: TestAirlock;
let rest: RestClient;
let executionId: string;

const metrics = async () => await (await fetch(`${airlock.url}/metrics`)).text();

beforeAll(async () => {
  airlock = await startAirlock({ projects: { net: NET, demo: "" } });
  rest = restClient(airlock.url);
  executionId = await rest.submit({ project: "net", code: FLOOD });
  expect((await rest.settled(executionId)).result).toBe(100);
});
afterAll(() => airlock.remove());

describe("the network that a project's scripts may reach", () => {
  it("the network of a project stands in GET /projects/{name}, with brokered secrets by name and host", async () => {
    expect(await rest.project("net")).toMatchObject({
      limits: { network_mb: 7 },
      network_allowlist: ["api.example", "*.warehouse.example:8443", "erp.example:443", "crm.example:8443"],
      allow_private: ["10.20.0.0/16"],
      secrets: ["CRM", "ERP", "PLAIN"],
      injected_secrets: [
        { name: "ERP", host: "erp.example", header: "authorization" },
        { name: "CRM", host: "crm.example:8443", header: "x-key" },
      ],
    });
    expect(await rest.project("demo")).toMatchObject({
      limits: { network_mb: 100 },
      network_allowlist: [],
      allow_private: [],
      injected_secrets: [],
    });
  });

  it("the network of a project stands in GET /skill.md, for agents", async () => {
    const page = await (await fetch(`${airlock.url}/skill.md`)).text();
    expect(page).toMatch(/^- \*\*demo\*\* \(.*; no network\)$/m);
    expect(page).toMatch(
      /^- \*\*net\*\* \(.*; network: api\.example, \*\.warehouse\.example:8443, erp\.example:443, crm\.example:8443; ERP is a placeholder for the header authorization to https:\/\/erp\.example; CRM is .* x-key to https:\/\/crm\.example:8443\)$/m,
    );
    expect(page).toContain("`HTTPS_PROXY`");
  });

  it("the network of a project is shown without the value of a secret", async () => {
    const paths = ["/projects", "/projects/net", "/skill.md", "/metrics"];
    const texts = await Promise.all(paths.map(async (path) => (await fetch(airlock.url + path)).text()));
    expect(texts.join("")).not.toMatch(/brokered-value|a-plain-secret/);
  });
});

describe("the measured isolation of a worker", () => {
  it("the measured isolation of a worker stands in GET /projects/{name}, beside the verdicts", async () => {
    const { isolation_facts: facts, isolation_layers: layers } = await rest.project("net");
    expect(facts).toMatchObject({
      descriptors: ["0 /dev/null", "1 pipe", "2 pipe", "3 pipe", "4 pipe"],
      capabilities: expect.arrayContaining(["CapEff 0000000000000000"]),
      processes: expect.arrayContaining(["1"]),
      limits: expect.arrayContaining(["CORE 1"]),
    });
    expect(layers).toContainEqual({ name: "capabilities_dropped", in_force: true, detail: null });
    expect((await rest.project("demo")).isolation_facts).toEqual({});
  });
});

describe("the network attempts of a hostile script", () => {
  it("the network attempts of a hostile script are counted in GET /metrics, without any name that the script made up", async () => {
    await expect.poll(metrics).toMatch(/^airlock_egress_bytes_total\{project="net",direction="out"\} \d+$/m);
    const text = await metrics();
    expect(text).toContain('airlock_egress_attempts_total{project="net",verdict="not_listed"} 100\n');
    expect(text).toContain('airlock_egress_open_routes{project="net"} 0\n');
    expect(text).toContain("airlock_http_requests_total{");
    expect(text).not.toContain("made-up");
  });

  it("the network attempts of a hostile script are in the log, bounded and readable", async () => {
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
