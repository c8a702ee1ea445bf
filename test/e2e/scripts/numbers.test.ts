import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";

const REPLICAS = 3;
const PANDAS = `packages: ["pandas>=3,<4"]\nreplicas: ${REPLICAS}\nlimits: {memory_mb: 1024}\n`;

const DETERMINED = `
import os, random, time, numpy, pandas
print(os.stat('/').st_ctime_ns)
time.sleep(0.2)
words = {"pear", "apple", "fig", None, 3, 2.5, ("a", None)}
set_result({
    "order": [str(word) for word in words],
    "hash": hash("airlock"),
    "none": hash(None),
    "random": [random.random() for _ in range(3)],
    "numpy": numpy.random.rand(3),
    "choice": random.choice(sorted(settings.keys())),
    "frame": pandas.DataFrame({"x": numpy.random.rand(2)}),
})
`;

let airlock: TestAirlock;
let rest: RestClient;

beforeAll(async () => {
  airlock = await startAirlock({
    projects: { demo: "settings: {REGION: eu}\n", tables: `${PANDAS}settings: {A: a, B: b}\n` },
  });
  rest = restClient(airlock.url);
}, 120_000);
afterAll(async () => {
  await airlock.remove();
});

describe("numbers are sacred", () => {
  it("a result arrives in the HTTP body with every digit", async () => {
    const id = await rest.submit({
      code: "set_result({'big': 2**63+1, 'float': 1.0, 'tiny': 5e-324, 'neg': -0.0})",
    });
    const body = await rest.settledText(id);
    expect(body).toContain('"result":{"big":9223372036854775809,"float":1.0,"tiny":5e-324,"neg":-0.0}');
  });

  it("the memory arrives at the script and back with every digit", async () => {
    const response = await rest.post(
      "/execute",
      `{"project": "demo", "code": "n = memory.get('a', 'n'); memory.set('a', 'm', n + 1); set_result([n, str(n), memory.get('a', 'x')])", "memory": {"a": {"n": 9007199254740993, "x": 1.0}}}`,
    );
    const { execution_id } = (await response.json()) as { execution_id: string };
    const body = await rest.settledText(execution_id);
    expect(body).toContain('"result":[9007199254740993,"9007199254740993",1.0]');
    expect(body).toContain('"memory_updates":{"a":{"m":9007199254740994}}');
  });

  it("the memory arrives at the script as a Python client escapes it", async () => {
    const memory = '{"a": {"emoji": "\\ud83d\\ude00", "digits": 123456789012345678901234567890}}';
    const code = "set_result([len(memory.get('a', 'emoji')), memory.get('a', 'digits') % 1000])";
    const response = await rest.post(
      "/execute",
      `{"project":"demo","code":${JSON.stringify(code)},"memory":${memory}}`,
    );
    const { execution_id } = (await response.json()) as { execution_id: string };
    expect(await rest.settledText(execution_id)).toContain('"result":[1,890]');
  });

  it.each(['{"a": {"k": 1, "k": 2}}', '{"a": {"k": "\\ud800"}}', '{"a": {"k": 1e400}}'])(
    "memory that readers would understand differently is refused: %s",
    async (memory) => {
      const response = await rest.post("/execute", `{"project":"demo","code":"1","memory":${memory}}`);
      expect(response.status).toBe(422);
    },
  );

  it("a number in a request that is not one is refused with its position", async () => {
    const execution = await rest.run({
      code: "set_result({'rows': [{'price': 1.5}, {'price': float('nan')}]})",
    });
    expect(execution).toMatchObject({ status: "error", end_reason: "result_invalid", result: null });
    expect(execution.error).toMatch(/rows.*1.*price.*NaN/s);
  });
});

describe("same code and data, same numbers", () => {
  it("same code and data give the same bytes 20 times over several workers and a restart", async () => {
    const submission = { project: "tables", code: DETERMINED, memory: { a: { b: 1 } } };
    const results = new Set<string>();
    const workers = new Set<unknown>();
    const runAll = async (client: RestClient, count: number) => {
      // On a machine with much to do the first worker would else have all runs before the others are ready.
      await client.post("/projects/tables/up", {});
      const idle = async () => (await client.project("tables")).idle_workers;
      await expect.poll(idle, { timeout: 90_000 }).toBe(REPLICAS);
      const bodies = await Promise.all(
        Array.from({ length: count }, async () => client.settledText(await client.submit(submission))),
      );
      for (const body of bodies) {
        expect(JSON.parse(body)).toMatchObject({ status: "completed", error: null });
        workers.add(JSON.parse(body).stdout);
        results.add(body.slice(body.indexOf('"result"'), body.indexOf('"stdout"')));
      }
    };
    await runAll(rest, 10);
    airlock = await airlock.restart();
    rest = restClient(airlock.url);
    await runAll(rest, 10);
    expect(results.size).toBe(1);
    expect(workers.size).toBeGreaterThan(3);
  }, 300_000);

  it("other code, settings or memory draw other random numbers", async () => {
    const code = "import random; set_result(random.random())";
    const draws = await Promise.all([
      rest.run({ code }),
      rest.run({ code: `${code}  ` }),
      rest.run({ code, settings: { REGION: "us" } }),
      rest.run({ code, memory: { a: { b: 1 } } }),
    ]);
    expect(new Set(draws.map((draw) => draw.result)).size).toBe(4);
    expect((await rest.run({ code })).result).toBe(draws[0]?.result);
  });

  it("random numbers for security stay random", async () => {
    const code =
      "import os, secrets, uuid; set_result([os.urandom(8).hex(), secrets.token_hex(8), str(uuid.uuid4())])";
    const draws = await Promise.all([1, 2, 3].map(() => rest.run({ code })));
    expect(new Set(draws.flatMap((draw) => draw.result)).size).toBe(9);
  });
});
