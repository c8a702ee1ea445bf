import { afterAll, beforeAll, expect, it } from "vitest";
import { startAirlock, type TestAirlock } from "../../harness/airlock.ts";
import { type RestClient, restClient } from "../../harness/rest.ts";

const RUNS = 4;
const KEY = "sk_live_9Qz7LmN4xVb2RtY8WpK3";
const INSTALL_MS = 600_000;
// Sums over floats, which follow the order in which threads come.
const SUMS = `
import duckdb, numpy, pandas, polars
x, group = numpy.random.default_rng(1).standard_normal(2_000_000), numpy.arange(2_000_000) * 7919 % 1000
words = [f"group {n}" for n in numpy.random.default_rng(2).integers(0, 1_000, 200_000)]
by_word = polars.DataFrame({"g": words, "h": [f"{word} {n % 50}" for n, word in enumerate(words)], "x": x[:200_000]})
table, frame = pandas.DataFrame({"g": group, "x": x}), polars.DataFrame({"g": group, "x": x})
set_result([
    duckdb.connect().from_df(table).aggregate("sum(x), avg(x), stddev(x)").fetchall(),
    duckdb.from_df(table).aggregate("g, sum(x)", "g").order("g").fetchall(),
    frame.lazy().select(polars.col("x").sum()).collect().item(),
    frame.lazy().group_by("g").agg(polars.col("x").sum()).collect(engine="streaming").sort("g").rows(),
    by_word.lazy().group_by("g", maintain_order=True).agg(polars.col("x").sum()).collect(engine="streaming").rows(),
    polars.SQLContext(t=by_word).execute("select h, avg(x) y from t group by h order by h", eager=True).rows(),
    by_word.lazy().group_by("h").agg(polars.col("x").sum(), polars.col("x").std().alias("s")).sort("h").collect().rows(),
])
`;
const SETTINGS = `
import duckdb
names = ["threads", "memory_limit", "enable_progress_bar"]
set_result([duckdb.execute(f"select current_setting('{name}')").fetchone()[0] for name in names])
`;
const TOO_MUCH = `
import duckdb
duckdb.execute("set temp_directory = ''")
duckdb.execute("create table t as select range as n, random() as x from range(100_000_000)")
`;

let airlock: TestAirlock;
let rest: RestClient;

beforeAll(async () => {
  const project =
    "packages: [duckdb, polars, pandas, psutil, numba]\nreplicas: 2\nlimits: {memory_mb: 1024, timeout: 300}\n" +
    `secrets: {API_KEY: ${KEY}}\n`;
  airlock = await startAirlock({ projects: { engines: project } });
  rest = restClient(airlock.url);
});
afterAll(() => airlock.remove());

const ended = async (code: string) =>
  rest.settledText(await rest.submit({ project: "engines", code, timeout: 300 }));

it("DuckDB and Polars add floats up in one order", { timeout: INSTALL_MS }, async () => {
  const bodies = await Promise.all(Array.from({ length: RUNS }, () => ended(SUMS)));
  const results = new Set(bodies.map((body) => /"result":(.+?),"stdout"/.exec(body)?.[1]));
  expect(results.size).toBe(1);
  expect([...results][0]).toMatch(/^\[\[\[-?\d/);
});

it("Polars wraps no cell of a printed table, so that a secret in it is redacted", {
  timeout: INSTALL_MS,
}, async () => {
  const code = `
import polars
texts = ["Northwind Traders International GmbH", "billing.department@northwind.example", "renewal is due in May"]
frame = polars.DataFrame({str(n): text for n, text in enumerate([*texts, settings.get("API_KEY"), *texts])})
print(frame)
print(polars.DataFrame({"values": [[settings.get("API_KEY")] * 2]}))`;
  const { stdout } = JSON.parse(await ended(code)) as { stdout: string };
  expect(stdout.match(/\[REDACTED/g)).toHaveLength(3);
  for (let at = 0; at + 8 <= KEY.length; at++) expect(stdout).not.toContain(KEY.slice(at, at + 8));
});

it("DuckDB knows the run's memory limit, and that there is no terminal", {
  timeout: INSTALL_MS,
}, async () => {
  // 80 % of 1,024 million bytes.
  expect(await ended(SETTINGS)).toContain('"result":[1,"781.2 MiB",false]');
});

it("a DuckDB query that needs more memory is told which limit that is", { timeout: INSTALL_MS }, async () => {
  const { error } = JSON.parse(await ended(TOO_MUCH)) as { error: string };
  expect(error).toContain("OutOfMemoryException");
  expect(error).toContain("memory_mb in the project's limits");
});

it("psutil takes the run's memory limit for the machine's memory", { timeout: INSTALL_MS }, async () => {
  const code = "import psutil; m = psutil.virtual_memory(); set_result([m.total, 0 < m.available < m.total])";
  expect(await ended(code)).toContain('"result":[1073741824,true]');
});

it("packages with compiled code are compiled when they are installed", { timeout: INSTALL_MS }, async () => {
  const code =
    "import importlib.util, os, polars.io as m; set_result(os.path.exists(importlib.util.cache_from_source(m.__file__)))";
  expect(await ended(code)).toContain('"result":true');
});

it("compiled code draws the same random numbers in each run", { timeout: INSTALL_MS }, async () => {
  const code = `
import random
import numba, numpy
@numba.njit
def drawn(): return numpy.random.random(), random.random()
set_result([drawn(), drawn(), numba.get_num_threads()])`;
  const [first, second] = await Promise.all([ended(code), ended(code)]);
  const numbers = /"result":(.+?),"stdout"/;
  expect(numbers.exec(first ?? "")?.[1]).toMatch(/^\[\[0\.\d+,0\.\d+\],.*,1\]$/);
  expect(numbers.exec(second ?? "")?.[1]).toBe(numbers.exec(first ?? "")?.[1]);
});
